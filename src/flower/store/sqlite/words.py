"""Words of the dictionaries of a store (task names, workers, queues, …), read without the query engine. The command
line completes them while a user types, and importing the engine takes longer than the user would wait."""

import os
from typing import Final

import apsw

from flower.errors import FlowerError
from flower.store.sqlite.connection import fetch_rows, open_for_reading
from flower.store.sqlite.directory import StoreDirectory

#: The newest segments that are read.
_MAX_SEGMENTS: Final = 4
#: By search field: the kind of the dictionary. Queues, exchanges and routing keys share one.
WORD_KINDS: Final = {
    "name": "name",
    "worker": "worker",
    "client": "client",
    "state": "state",
    "queue": "route",
    "exchange": "route",
    "routing_key": "route",
}


def read_words(path: str | os.PathLike[str], field: str, prefix: str, *, limit: int = 100) -> list[str]:
    """The words of a search field in the newest segments that begin with `prefix`, ignoring case, sorted. Empty if the
    field has no dictionary, and if the store does not exist or cannot be read."""
    kind = WORD_KINDS.get(field)
    directory = StoreDirectory(path)
    folded = prefix.casefold()
    words: set[str] = set()
    for number in directory.segment_numbers()[-_MAX_SEGMENTS:] if kind else ():
        try:
            connection = open_for_reading(directory.segment_path(number))
        except (FlowerError, apsw.Error):
            continue
        try:
            rows = fetch_rows(connection, "SELECT value FROM word WHERE kind = ?", (kind,))
        except (FlowerError, apsw.Error):
            continue
        finally:
            connection.close()
        words.update(word for (word,) in rows if word.casefold().startswith(folded))
    return sorted(words)[:limit]
