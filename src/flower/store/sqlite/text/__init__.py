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

from flower.store.sqlite.text.index_block import TextIndexError
from flower.store.sqlite.text.indexer import INDEX_POLL_INTERVAL, MAX_COMMIT_CHARACTERS, Indexer, PendingText, RowSource
from flower.store.sqlite.text.reader import CandidateKeys, IndexSnapshot, TextReader
from flower.store.sqlite.text.trigrams import MIN_SEARCH_LENGTH, split_trigrams
from flower.store.sqlite.text.writer import MAX_BLOCK_DOCUMENTS, TextWriter

__all__ = [
    "INDEX_POLL_INTERVAL",
    "MAX_BLOCK_DOCUMENTS",
    "MAX_COMMIT_CHARACTERS",
    "MIN_SEARCH_LENGTH",
    "CandidateKeys",
    "IndexSnapshot",
    "Indexer",
    "PendingText",
    "RowSource",
    "TextIndexError",
    "TextReader",
    "TextWriter",
    "split_trigrams",
]
