"""Addresses of brokers and result backends, fit for a log or a page."""

import re

_URL_PASSWORD = re.compile(r"(://[^\s/:@'\"]*):[^\s'\"/]*@")


def mask_url(url: object) -> str:
    """A broker URL, or several, without passwords and queries."""
    if isinstance(url, list | tuple):
        return ";".join(mask_url(part) for part in url)
    return ";".join(_mask_single_url(part) for part in str(url or "").split(";"))


def mask_urls_in_text(text: str) -> str:
    """The same text; passwords in the addresses it quotes are left out."""
    return _URL_PASSWORD.sub(r"\1:**@", text)


def _mask_single_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return re.sub(r"^[^@]*@", "**@", url)
    rest, question, _ = rest.partition("?")
    login, at, host = rest.rpartition("@")  # the last @: a password may hold one that nobody quoted
    user, colon, _ = login.partition(":")
    return f"{scheme}://{user}{':**' if colon else ''}{at}{host}{'?…' if question else ''}"
