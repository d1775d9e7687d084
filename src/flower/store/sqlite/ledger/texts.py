"""Texts as SQLite can hold them."""


def escape_surrogates(text: str) -> str:
    """Lone surrogates, which no UTF-8 can hold, stay visible as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
