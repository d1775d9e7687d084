"""Lone surrogates, which UTF-8 cannot encode."""


def escape_surrogates(text: str) -> str:
    """The text with lone surrogates as backslash escapes; the result encodes to UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
