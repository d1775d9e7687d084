"""Texts and searches for tests of the text index."""

from flower.store.sqlite.text import IndexSnapshot

#: documents of a block
BLOCK = 100


def text_of(key: int) -> str:
    return f"Order ORD-{key:06d} for customer{key % 7}@example.com"


def search(snapshot: IndexSnapshot, *texts: str, limit: int = 100_000) -> list[int]:
    return snapshot.find_candidates([text.casefold() for text in texts], limit=limit).keys.tolist()
