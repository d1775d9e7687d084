"""Masks the passwords of URLs in text, whatever characters they contain."""

import re

#: A user name, maybe empty, and the colon before the password.
_USER = re.compile(r"://[^\s/:@'\"\\]*:")
#: The password and what follows it. A quote belongs to it only if text follows it directly.
_REST = re.compile(r"(?:[^\s'\"<>]|['\"](?=[\w!#$%^&*+/.@-]))+")
#: A port instead of a password: `http://host:8080/users/ann@example.com`.
_PORT = re.compile(r"\d{1,5}[/?#]")
#: A host name after an @: the password ends here although another @ follows, as in `https://u:p@host.org/repo@v1`.
_HOST = re.compile(
    r"(?:(?:[\w-]+\.)+[a-z]{2,}|localhost|\d+\.\d+\.\d+\.\d+|[\w-]+:\d+|[\w-]+(?=[,;][\w+]+://))(?::\d+)?(?=[/?#,;]|$)",
    re.I,
)
#: In a URL that is a parameter of another one.
_ENCODED = re.compile(r"(%3A%2F%2F(?:[^\s%&'\"]|%(?!3A|40|2F)){0,100}+%3A)(?:[^\s%&'\"]|%(?!40)){0,200}+(?=%40)", re.I)

_MAX_PASSWORD_LENGTH = 2_048


def mask_url_passwords(text: str, mask: str) -> str:
    """The text with the password of each URL replaced."""
    parts: list[str] = []
    copied = at = 0
    next_at_sign = -1
    while user := _USER.search(text, at):
        start = at = user.end()
        if next_at_sign < start:
            next_at_sign = text.find("@", start)
            if next_at_sign < 0:
                break
        if next_at_sign - start > _MAX_PASSWORD_LENGTH or _PORT.match(text, start):
            continue
        rest = _REST.match(text, start, start + _MAX_PASSWORD_LENGTH)
        if rest is None or "@" not in rest[0]:
            continue
        length = _password_length(rest[0])
        parts += (text[copied:start], mask)
        copied = at = start + length
    if parts:
        text = "".join((*parts, text[copied:]))
    return _ENCODED.sub(rf"\1{mask}", text)


def _password_length(rest: str) -> int:
    """The length of the password at the beginning of the text, which contains an @."""
    positions = [index for index, letter in enumerate(rest) if letter == "@"]
    # Not in the query, which may contain a mail address, if the part before it has an @.
    query = rest.find("?")
    positions = [position for position in positions if position < query] or positions
    return next((position for position in positions if _HOST.match(rest, position + 1)), positions[-1])
