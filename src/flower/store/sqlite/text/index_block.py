"""One block: a tantivy index of documents cut into trigrams, from which a search gets the keys of the rows.

Nothing but the two fields is kept: no positions, no texts. Keys are a fast field, so that a hit carries its key."""

import contextlib
import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import tantivy

from flower.errors import StoreError

META_FILE: Final = "meta.json"
KEYS_FILE: Final = "keys.json"
_KEY_FIELD: Final = "id"
_TEXT_FIELD: Final = "doc"
_TOKENIZER: Final = "trigram"
#: Memory in which the writer gathers documents. With 15 MB, the least tantivy takes, it is a third slower and
#: no smaller.
_HEAP_BYTES: Final = 32_000_000
#: Merging gives way to everything else.
_MERGE_NICENESS: Final = 10
_MAX_KEY: Final = 2**63 - 1
#: Documents of a block that may be named though they do not hold all that was asked for: they are read in vain.
_MAX_FALSE_POSITIVES: Final = 0.01

Keys = npt.NDArray[np.int64]


class TextIndexError(StoreError):
    """The text index cannot be read or written. Rows are not concerned; what was added since the last commit
    is to be added again."""

    code = "text_index"


@contextlib.contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """tantivy's errors as ours. It raises ValueError for most of what goes wrong, and what pyo3 makes of a panic
    in Rust is no Exception and cannot be imported."""
    try:
        yield
    except TextIndexError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise TextIndexError(f"The text index cannot be used ({path}): {error}") from error
    except BaseException as error:
        if type(error).__module__ != "pyo3_runtime":
            raise
        raise TextIndexError(f"The text index cannot be used ({path}): {error}") from error


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field(_KEY_FIELD, stored=False, indexed=True, fast=True)
    builder.add_text_field(_TEXT_FIELD, stored=False, tokenizer_name=_TOKENIZER, index_option="basic")
    return builder.build()


def open_index_writer(path: Path) -> tantivy.IndexWriter:
    """Opened, or made if the directory is empty. Raises what `telling` translates."""
    index = tantivy.Index(_schema(), str(path))
    index.config_reader("Manual")  # no thread that looks for news twice a second
    tokenizer = tantivy.Tokenizer.ngram(min_gram=3, max_gram=3, prefix_only=False)
    index.register_tokenizer(_TOKENIZER, tantivy.TextAnalyzerBuilder(tokenizer).build())
    writer = _create_low_priority_writer(index)
    writer.garbage_collect_files()  # what a killed writer, or a full disk, has left
    return writer


def _create_low_priority_writer(index: tantivy.Index) -> tantivy.IndexWriter:
    """The threads that merge inherit the niceness of the one that makes the writer, so that one is made for it."""
    made: list[tantivy.IndexWriter] = []
    failed: list[BaseException] = []

    def make() -> None:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _MERGE_NICENESS)
        try:
            made.append(index.writer(heap_size=_HEAP_BYTES, num_threads=1))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            failed.append(error)

    maker = threading.Thread(target=make, name="text-index-opening")
    maker.start()
    maker.join()
    if failed:
        raise failed[0]
    return made[0]


def create_document(key: int, text: str) -> tantivy.Document:
    """`text` as `trigrams.folded` gives it."""
    return tantivy.Document(id=key, doc=text)


def open_index(path: Path) -> tantivy.Index:
    index = tantivy.Index.open(str(path))
    index.config_reader("Manual")
    return index


def find_open_error(path: Path) -> str | None:
    """What tantivy says against a block; None if it opens it. Raises TextTrouble for what may pass by itself."""
    try:
        with translate_errors(path):
            open_index(path)
    except TextIndexError as trouble:
        if "os error" in trouble.message or "Os {" in trouble.message:  # too many open files, no memory
            raise
        return trouble.message
    return None


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Every key of a block lies between them."""

    lowest: int
    highest: int


def write_bounds(path: Path, bounds: KeyRange) -> None:
    """Says that the block is finished. Raises OSError."""
    new = path / f"{KEYS_FILE}.new"
    new.write_text(json.dumps({"lowest": bounds.lowest, "highest": bounds.highest}))
    new.replace(path / KEYS_FILE)


def read_bounds(path: Path) -> KeyRange | None:
    """None if the block is not finished."""
    try:
        told = json.loads((path / KEYS_FILE).read_bytes())
        return KeyRange(int(told["lowest"]), int(told["highest"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


class IndexBlock:
    """What a block held when it was looked at. Any thread may ask."""

    def __init__(self, number: int, path: Path, index: tantivy.Index, bounds: KeyRange | None) -> None:
        self.number = number
        self.path = path
        self.bounds = bounds
        self._schema = index.schema
        self._searcher = index.searcher()

    @property
    def document_count(self) -> int:
        return self._searcher.num_docs

    def find_bounds(self) -> KeyRange | None:
        """Of the keys themselves: some milliseconds. None if there are no documents. Raises TextTrouble."""
        everything = tantivy.Query.all_query()
        found: list[int] = []
        with translate_errors(self.path):
            for order in (tantivy.Order.Asc, tantivy.Order.Desc):
                result = self._searcher.search(everything, 1, count=False, order_by_field=_KEY_FIELD, order=order)
                found += [hit[0] for hit in result.hits]
        return KeyRange(found[0], found[1]) if found else None

    def search(self, parts: tuple[str, ...], limit: int, low: int, high: int) -> tuple[Keys, int]:
        """The keys of the `limit` highest documents that may hold all parts, lowest key last, and how many documents
        there are, of those with low <= key < high. Raises TextTrouble.

        The search itself runs without the interpreter's lock; a thousand hits take it for 0.1 ms."""
        rarest = self.select_rarest(parts)
        terms = [tantivy.Query.term_query(self._schema, _TEXT_FIELD, part, index_option="basic") for part in rarest]
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

    def select_rarest(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        """Of these, the few that let hardly any document through that does not hold all. Looking a part up costs
        little; going through the documents of one that most of them hold costs time and memory. Raises TextTrouble."""
        with translate_errors(self.path):
            held = sorted((self._searcher.doc_freq(_TEXT_FIELD, part), part) for part in parts)
        expected = float(self.document_count)
        for number, (documents, _) in enumerate(held, 1):
            # as if they occurred independently of each other, hence the margin
            expected *= documents / max(self.document_count, 1)
            if expected < _MAX_FALSE_POSITIVES:
                return tuple(part for _, part in held[:number])
        return parts

    def max_matches(self, parts: tuple[str, ...]) -> int:
        """No more documents than this hold all parts: how many hold the rarest. Raises TextTrouble."""
        with translate_errors(self.path):
            return min(self._searcher.doc_freq(_TEXT_FIELD, part) for part in parts)

    def _is_within(self, low: int, high: int) -> bool:
        if self.bounds is None:
            return low <= 0 and high >= _MAX_KEY
        return low <= self.bounds.lowest and self.bounds.highest < high
