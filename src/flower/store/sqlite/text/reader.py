"""Reader of the text index, for any thread and process, also while the index is written."""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from flower.store.sqlite.text.generation import block_path, list_block_numbers, read_generation
from flower.store.sqlite.text.index_block import (
    META_FILE,
    IndexBlock,
    Keys,
    TextIndexError,
    open_index,
    read_bounds,
    translate_errors,
)
from flower.store.sqlite.text.trigrams import combine_trigrams

if TYPE_CHECKING:
    import tantivy

log = logging.getLogger(__name__)

T = TypeVar("T")

_MAX_KEY: Final = 2**63 - 1
#: A file that is younger may change again without a change of its modification time.
_STABLE_AFTER_NS: Final = 100_000_000
#: seconds until a block that could not be read is tried again, unless it has changed
_RETRY_DELAY: Final = 1.0


@dataclass(frozen=True, slots=True)
class CandidateKeys:
    """`keys` are ascending and distinct.

    They include every candidate >= `lowest` within the requested range; to continue, request the keys below `lowest`.
    `total` is the number of documents (a row that has changed may have several); None if it was not requested and not
    every block was searched.
    """

    keys: Keys
    total: int | None
    lowest: int


class IndexSnapshot:
    """The blocks at one moment.

    `find_candidates` searches these, whatever happens to the files. Without a usable index, `generation` is "" and
    `blocks` is empty.
    """

    def __init__(
        self, generation: str, blocks: Sequence[IndexBlock], mark_failed: Callable[[IndexBlock], None]
    ) -> None:
        self.generation = generation
        self._mark_failed = mark_failed
        self.blocks: frozenset[int] = frozenset(block.number for block in blocks)
        #: highest keys first; the block being written has no bounds and may have any key
        self._newest_first = sorted(blocks, key=_highest_key, reverse=True)

    @property
    def document_count(self) -> int:
        return sum(block.document_count for block in self._newest_first)

    def block(self, number: int) -> IndexBlock:
        return next(block for block in self._newest_first if block.number == number)

    def find_candidates(
        self,
        search_strings: Sequence[str],
        *,
        limit: int,
        below: int | None = None,
        at_least: int = 0,
        total: bool = True,
    ) -> CandidateKeys:
        """Return the `limit` highest keys of documents that may contain all search strings: at_least <= key < below.

        Without `total`, blocks that cannot add keys are skipped. Raises TextIndexError if a block is damaged (after a
        refresh it is no longer in the snapshot), ValueError for a search string of less than three characters.
        """
        trigrams = combine_trigrams(search_strings)
        if limit < 1:
            raise ValueError("limit must be at least 1")
        low, high = max(at_least, 0), _MAX_KEY if below is None else min(below, _MAX_KEY)
        keys: Keys = np.empty(0, np.int64)
        lowest, count, is_complete = low, 0, True
        for block in self._newest_first:
            if block.bounds is not None and (block.bounds.highest < low or block.bounds.lowest >= high):
                continue
            has_enough = len(keys) >= limit and keys[-limit] > _highest_key(block)
            if has_enough and not total:
                is_complete = False
                break
            block_limit = 1 if has_enough else limit
            block_keys, documents = self._query_block(
                block, partial(IndexBlock.search, trigrams=trigrams, limit=block_limit, low=low, high=high)
            )
            count += documents
            if has_enough:
                lowest = max(lowest, int(keys[-limit]))
                continue
            if documents > len(block_keys):
                lowest = max(lowest, int(block_keys[-1]))
            keys = np.union1d(keys, block_keys)
        if not is_complete or len(keys) > limit:
            lowest = max(lowest, int(keys[-limit]))
        return CandidateKeys(keys[np.searchsorted(keys, lowest) :], count if is_complete else None, lowest)

    def max_candidates(self, search_strings: Sequence[str]) -> int:
        """Return an upper bound of the candidates, for planning: the frequency of the rarest trigram.

        Raises as `find_candidates` does.
        """
        trigrams = combine_trigrams(search_strings)
        return sum(
            self._query_block(block, partial(IndexBlock.max_matches, trigrams=trigrams)) for block in self._newest_first
        )

    def _query_block(self, block: IndexBlock, query: Callable[[IndexBlock], T]) -> T:
        try:
            return query(block)
        except TextIndexError:
            self._mark_failed(block)
            raise


def _highest_key(block: IndexBlock) -> int:
    return _MAX_KEY if block.bounds is None else block.bounds.highest


@dataclass(frozen=True, slots=True)
class _FileStamp:
    """State of meta.json, which every commit and merge replaces."""

    inode: int
    time: int
    size: int
    is_stable: bool

    @classmethod
    def read(cls, path: Path) -> "_FileStamp":
        status = os.stat(path / META_FILE)
        is_stable = time.time_ns() - status.st_mtime_ns > _STABLE_AFTER_NS
        return cls(status.st_ino, status.st_mtime_ns, status.st_size, is_stable)


@dataclass(frozen=True, slots=True)
class _OpenBlock:
    index: "tantivy.Index"
    stamp: _FileStamp
    block: IndexBlock


class TextReader:
    """Opens the blocks on disk. Deleted blocks keep their disk space until the next `refresh`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._generation = ""
        self._opened: dict[int, _OpenBlock] = {}
        self._failed: dict[int, tuple[_FileStamp, float]] = {}

    def refresh(self) -> IndexSnapshot:
        """Return a snapshot of everything committed before this call.

        Takes about 0.1 ms if nothing has changed. Never raises: a block that cannot be read is not in the snapshot.
        """
        with self._lock:
            try:
                return self._open_snapshot()
            except OSError as error:
                log.debug("Cannot read the text index: %s", error)
                return IndexSnapshot("", (), self._mark_failed)

    def _open_snapshot(self) -> IndexSnapshot:
        for _ in range(3):
            generation = read_generation(self._directory)
            name = generation.name if generation else ""
            if name != self._generation:
                self._clear()
                self._generation = name
            if not generation:
                break
            blocks = self._open_blocks()
            reread = read_generation(self._directory)
            if reread and reread.name == name:  # otherwise the blocks may be of either generation
                return IndexSnapshot(name, blocks, self._mark_failed)
        return IndexSnapshot("", (), self._mark_failed)

    def _open_blocks(self) -> list[IndexBlock]:
        numbers = list_block_numbers(self._directory)
        for number in self._opened.keys() - set(numbers):
            del self._opened[number]
        return [block for number in numbers if (block := self._open_block(number))]

    def _open_block(self, number: int) -> IndexBlock | None:
        path = block_path(self._directory, number)
        opened = self._opened.pop(number, None)
        try:
            stamp = _FileStamp.read(path)  # before the block is read: at worst it is read once more than needed
        except OSError:
            return None  # being created, or being removed
        failed = self._failed.get(number)
        if failed and failed[0] == stamp and time.monotonic() - failed[1] < _RETRY_DELAY:
            return None
        try:
            if opened is None or opened.stamp != stamp or not stamp.is_stable or opened.block.bounds is None:
                opened = self._load_block(number, path, stamp, opened)
        except TextIndexError as error:
            log.debug("Cannot read block %d of the text index: %s", number, error)
            self._failed[number] = (stamp, time.monotonic())
            return None
        self._opened[number] = opened
        self._failed.pop(number, None)
        return opened.block

    def _load_block(self, number: int, path: Path, stamp: _FileStamp, opened: _OpenBlock | None) -> _OpenBlock:
        bounds = read_bounds(path)
        if opened and opened.stamp == stamp and stamp.is_stable and bounds is None:
            return opened
        with translate_errors(path):
            index = opened.index if opened else open_index(path)
            index.reload()
            return _OpenBlock(index, stamp, IndexBlock(number, path, index, bounds))

    def _mark_failed(self, block: IndexBlock) -> None:
        """Drop a block whose search failed."""
        with self._lock:
            opened = self._opened.pop(block.number, None)
            if opened and opened.block is block:
                self._failed[block.number] = (opened.stamp, time.monotonic())

    def _clear(self) -> None:
        self._opened.clear()
        self._failed.clear()

    def close(self) -> None:
        with self._lock:
            self._clear()
            self._generation = ""
