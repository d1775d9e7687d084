"""One block: a tantivy index of documents split into trigrams, which returns the keys of matching rows.

It stores two fields and neither positions nor texts. The key is a fast field, so that a hit contains it.

tantivy is imported by the functions that use it: it needs 5 MB of memory, and the recorder does not use it.
"""

import contextlib
import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from flower.errors import StoreError
from flower.private_files import write_text

if TYPE_CHECKING:
    import tantivy

META_FILE: Final = "meta.json"
KEYS_FILE: Final = "keys.json"
_KEY_FIELD: Final = "id"
_TEXT_FIELD: Final = "doc"
_TOKENIZER: Final = "trigram"
#: Memory for the documents of the writer. With 15 MB, tantivy's minimum, it is a third slower and not smaller.
_HEAP_BYTES: Final = 32_000_000
#: Merging runs at lower priority than everything else.
_MERGE_NICENESS: Final = 10
_MAX_KEY: Final = 2**63 - 1
#: maximum expected documents of a block that have the selected trigrams but not all of them
_MAX_FALSE_POSITIVES: Final = 0.01

Keys = npt.NDArray[np.int64]


class TextIndexError(StoreError):
    """The text index cannot be read or written.

    Rows are not affected; documents added since the last commit must be added again.
    """

    code = "text_index"


@contextlib.contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Translate tantivy's errors to TextIndexError.

    tantivy raises ValueError for most errors. A Rust panic becomes a pyo3 exception that is not an Exception and cannot
    be imported.
    """
    try:
        yield
    except TextIndexError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise TextIndexError(f"Cannot use the text index in {path}: {error}") from error
    except BaseException as error:
        if type(error).__module__ != "pyo3_runtime":
            raise
        raise TextIndexError(f"Cannot use the text index in {path}: {error}") from error


def _schema() -> "tantivy.Schema":
    import tantivy  # noqa: PLC0415

    builder = tantivy.SchemaBuilder()
    # Ranges of keys are read from the fast field. An inverted index of keys would add a term for each document.
    builder.add_integer_field(_KEY_FIELD, stored=False, indexed=False, fast=True)
    builder.add_text_field(_TEXT_FIELD, stored=False, tokenizer_name=_TOKENIZER, index_option="basic")
    return builder.build()


def open_index_writer(path: Path) -> "tantivy.IndexWriter":
    """Open a writer; the index is created if the directory is empty. Raises what `translate_errors` translates."""
    import tantivy  # noqa: PLC0415

    # a block keeps its schema: those of earlier versions have an inverted index of keys
    index = tantivy.Index.open(str(path)) if (path / META_FILE).exists() else tantivy.Index(_schema(), str(path))
    index.config_reader("Manual")  # no thread that polls for changes every 500 ms
    tokenizer = tantivy.Tokenizer.ngram(min_gram=3, max_gram=3, prefix_only=False)
    index.register_tokenizer(_TOKENIZER, tantivy.TextAnalyzerBuilder(tokenizer).build())
    writer = _create_low_priority_writer(index)
    writer.garbage_collect_files()  # left behind by a killed writer or a full disk
    return writer


def _create_low_priority_writer(index: "tantivy.Index") -> "tantivy.IndexWriter":
    """Create the writer in another thread: tantivy's merge threads inherit the niceness of the creating thread."""
    writers: list[tantivy.IndexWriter] = []
    errors: list[BaseException] = []

    def create() -> None:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _MERGE_NICENESS)
        try:
            writers.append(index.writer(heap_size=_HEAP_BYTES, num_threads=1))
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            errors.append(error)

    thread = threading.Thread(target=create, name="text-index-opening")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return writers[0]


def create_document(key: int, text: str) -> "tantivy.Document":
    """Return a document. `text`: as `trigrams.normalize_text` returns it."""
    return _document_class()(id=key, doc=text)


@cache
def _document_class() -> "type[tantivy.Document]":
    """Cached, because an import statement takes 0.3 µs for each document."""
    import tantivy  # noqa: PLC0415

    return tantivy.Document


def open_index(path: Path) -> "tantivy.Index":
    """Open a block for reading. Raises what `translate_errors` translates."""
    import tantivy  # noqa: PLC0415

    index = tantivy.Index.open(str(path))
    index.config_reader("Manual")
    return index


def find_open_error(path: Path) -> str | None:
    """Return tantivy's error for a block; None if it can be opened. Raises TextIndexError for transient errors."""
    try:
        with translate_errors(path):
            open_index(path)
    except TextIndexError as error:
        if "os error" in error.message or "Os {" in error.message:  # too many open files, no memory
            raise
        return error.message
    return None


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Range that contains every key of a block."""

    lowest: int
    highest: int


def write_bounds(path: Path, bounds: KeyRange) -> None:
    """Mark the block as finished. Raises OSError."""
    new = path / f"{KEYS_FILE}.new"
    write_text(new, json.dumps({"lowest": bounds.lowest, "highest": bounds.highest}))
    new.replace(path / KEYS_FILE)


def read_bounds(path: Path) -> KeyRange | None:
    """Return the bounds of a finished block; None if the block is not finished."""
    try:
        content = json.loads((path / KEYS_FILE).read_bytes())
        return KeyRange(int(content["lowest"]), int(content["highest"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


class IndexBlock:
    """One block, as of the time it was opened. Thread-safe."""

    def __init__(self, number: int, path: Path, index: "tantivy.Index", bounds: KeyRange | None) -> None:
        self.number = number
        self.path = path
        self.bounds = bounds
        self._schema = index.schema
        self._searcher = index.searcher()

    @property
    def document_count(self) -> int:
        return self._searcher.num_docs

    def find_bounds(self) -> KeyRange | None:
        """Read the bounds from the keys: takes some milliseconds.

        Return None without documents. Raises TextIndexError.
        """
        import tantivy  # noqa: PLC0415

        all_documents = tantivy.Query.all_query()
        keys: list[int] = []
        with translate_errors(self.path):
            for order in (tantivy.Order.Asc, tantivy.Order.Desc):
                result = self._searcher.search(all_documents, 1, count=False, order_by_field=_KEY_FIELD, order=order)
                keys += [hit[0] for hit in result.hits]
        return KeyRange(keys[0], keys[1]) if keys else None

    def search(self, trigrams: tuple[str, ...], limit: int, low: int, high: int) -> tuple[Keys, int]:
        """Return the `limit` highest keys of documents that may have all trigrams, with low <= key < high.

        The keys are descending; the second value is the number of such documents. tantivy searches without the GIL;
        reading a thousand hits holds it for 0.1 ms. Raises TextIndexError.
        """
        import tantivy  # noqa: PLC0415

        rarest = self.select_rarest(trigrams)
        terms = [
            tantivy.Query.term_query(self._schema, _TEXT_FIELD, trigram, index_option="basic") for trigram in rarest
        ]
        if not self._is_within(low, high):
            terms.append(
                tantivy.Query.range_query(
                    self._schema,
                    _KEY_FIELD,
                    tantivy.FieldType.Integer,
                    lower_bound=low,
                    upper_bound=high,
                    include_upper=False,
                )
            )
        query = tantivy.Query.boolean_query([(tantivy.Occur.Must, term) for term in terms])
        with translate_errors(self.path):
            result = self._searcher.search(query, limit, order_by_field=_KEY_FIELD)
            hits = result.hits
            count: int = result.count  # type: ignore[attr-defined] # missing in tantivy's stubs
        return np.fromiter(map(itemgetter(0), hits), np.int64, len(hits)), count

    def select_rarest(self, trigrams: tuple[str, ...]) -> tuple[str, ...]:
        """Return a few of the trigrams, such that hardly any document has these without having all of them.

        Looking up the frequency of a trigram is cheap; reading the documents of a frequent one costs time and memory.
        Raises TextIndexError.
        """
        with translate_errors(self.path):
            frequencies = sorted((self._searcher.doc_freq(_TEXT_FIELD, trigram), trigram) for trigram in trigrams)
        expected = float(self.document_count)
        for number, (documents, _) in enumerate(frequencies, 1):
            # as if their occurrences were independent, hence the margin
            expected *= documents / max(self.document_count, 1)
            if expected < _MAX_FALSE_POSITIVES:
                return tuple(trigram for _, trigram in frequencies[:number])
        return trigrams

    def max_matches(self, trigrams: tuple[str, ...]) -> int:
        """Return an upper bound of the documents that have all trigrams: the frequency of the rarest.

        Raises TextIndexError.
        """
        with translate_errors(self.path):
            return min(self._searcher.doc_freq(_TEXT_FIELD, trigram) for trigram in trigrams)

    def _is_within(self, low: int, high: int) -> bool:
        if self.bounds is None:
            return low <= 0 and high >= _MAX_KEY
        return low <= self.bounds.lowest and self.bounds.highest < high
