"""The text index: which rows may hold a text, beside the rows and made from them. It may be deleted at any
time; `docs/storage.md` describes it for people.

What is found is a candidate only and must be seen to hold on its row. What is not found does not hold, for
every row whose newest version was added to a block that can be read.

- `trigrams`: what documents and needles are cut into
- `mark`: the generation of the index and the numbers of its blocks
- `block`: one tantivy index: how it is opened, written and asked; `checksum`: whether its files are whole
- `writer`: adding; `reader`: asking, from any thread or process
- `indexer`: the thread that brings rows into the index
"""

from flower.store.sqlite.text.block import TextTrouble
from flower.store.sqlite.text.indexer import CHUNK_CHARACTERS, PAUSE, Indexer, Pending, Source
from flower.store.sqlite.text.reader import Candidates, Look, TextReader
from flower.store.sqlite.text.trigrams import SHORTEST, trigrams
from flower.store.sqlite.text.writer import BLOCK_DOCS, TextWriter

__all__ = [
    "BLOCK_DOCS",
    "CHUNK_CHARACTERS",
    "PAUSE",
    "SHORTEST",
    "Candidates",
    "Indexer",
    "Look",
    "Pending",
    "Source",
    "TextReader",
    "TextTrouble",
    "TextWriter",
    "trigrams",
]
