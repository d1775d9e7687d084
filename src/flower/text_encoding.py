"""Text that encodes to UTF-8."""


def escape_surrogates(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot encode, as backslash escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
