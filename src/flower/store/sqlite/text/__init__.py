"""Index of the long texts of tasks: trigrams, and text templates.

The index is derived from the rows and may be deleted at any time; `docs/storage.md` describes it.
The trigram index returns candidates, which must be verified on the row. It has no false negatives for rows whose newest
version was added to a readable block. Templates decide without reading a row for texts that many rows have in similar
form.

    backlog           rows that are not in the index yet
    checksum          verifies the files of a block
    generation        generation of the index, and the numbers of its blocks
    index_block       one tantivy index: open, write, search
    indexer           thread that adds rows to the index
    process           child process that runs the indexer
    reader            searches, from any thread or process
    template_builder  builds the template files
    template_file     file with the templates of the texts of a segment
    templates         splits texts into templates, and compares search strings with them
    trigrams          splits documents and search strings into trigrams
    writer            adds documents
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
