"""Texts as SQLite can hold them."""


def storable(text: str) -> str:
    """Lone surrogates, which no UTF-8 can hold, stay visible as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
