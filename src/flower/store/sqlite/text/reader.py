"""Asking the text index, from any thread and any process, while it is being written."""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import tantivy

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

log = logging.getLogger(__name__)

T = TypeVar("T")

_MAX_KEY: Final = 2**63 - 1
#: Younger than this, a file may be changed again without its time showing it.
_STABLE_AFTER_NS: Final = 100_000_000
#: A block that could not be read is tried again when it has changed, else after so many seconds.
_RETRY_DELAY: Final = 1.0


@dataclass(frozen=True, slots=True)
class CandidateKeys:
    """`keys` rise and are distinct. Every candidate key that was asked for and is >= `lowest` is among them; to
    go on, ask for those below `lowest`. `total` counts documents, and a row that changed may have several; None
    if it was not asked for and not all blocks had to be looked at."""

    keys: Keys
    total: int | None
    lowest: int


class IndexSnapshot:
    """The blocks as they were at one moment: what `candidates` asks, whatever happens to the files meanwhile.
    `generation` is "" and there are no blocks where there is no index that can be used."""

    def __init__(self, generation: str, blocks: Sequence[IndexBlock], give_up: Callable[[IndexBlock], None]) -> None:
        self.generation = generation
        self._mark_failed = give_up
        self.blocks: frozenset[int] = frozenset(block.number for block in blocks)
        #: highest keys first; of one that is still written to nothing is known
        self._newest_first = sorted(blocks, key=_highest_key, reverse=True)

    @property
    def document_count(self) -> int:
        return sum(block.document_count for block in self._newest_first)

    def block(self, number: int) -> IndexBlock:
        return next(block for block in self._newest_first if block.number == number)

    def find_candidates(
        self, needles: Sequence[str], *, limit: int, below: int | None = None, at_least: int = 0, total: bool = True
    ) -> CandidateKeys:
        """The `limit` highest keys, below `below` and not under `at_least`, of documents that may hold all needles.

        Needles have three characters or more. Without `total`, blocks that cannot add to the keys are left alone.
        Raises TextTrouble if a block turns out to be damaged: look again, it will not be there; ValueError."""
        parts = combine_trigrams(needles)
        if limit < 1:
            raise ValueError("limit must be at least 1")
        low, high = max(at_least, 0), _MAX_KEY if below is None else min(below, _MAX_KEY)
        keys: Keys = np.empty(0, np.int64)
        lowest, count, complete = low, 0, True
        for block in self._newest_first:
            if block.bounds is not None and (block.bounds.highest < low or block.bounds.lowest >= high):
                continue
            enough = len(keys) >= limit and keys[-limit] > _highest_key(block)
            if enough and not total:
                complete = False
                break
            wanted = 1 if enough else limit
            found, documents = self._query_block(
                block, partial(IndexBlock.search, parts=parts, limit=wanted, low=low, high=high)
            )
            count += documents
            if enough:
                lowest = max(lowest, int(keys[-limit]))
                continue
            if documents > len(found):
                lowest = max(lowest, int(found[-1]))
            keys = np.union1d(keys, found)
        if not complete or len(keys) > limit:
            lowest = max(lowest, int(keys[-limit]))
        return CandidateKeys(keys[np.searchsorted(keys, lowest) :], count if complete else None, lowest)

    def max_candidates(self, needles: Sequence[str]) -> int:
        """There are no more candidates than this. It is known without searching, from how often the rarest trigram
        occurs: for planning. Raises as `candidates` does."""
        parts = combine_trigrams(needles)
        return sum(
            self._query_block(block, partial(IndexBlock.max_matches, parts=parts)) for block in self._newest_first
        )

    def _query_block(self, block: IndexBlock, question: Callable[[IndexBlock], T]) -> T:
        try:
            return question(block)
        except TextIndexError:
            self._mark_failed(block)
            raise


def _highest_key(block: IndexBlock) -> int:
    return _MAX_KEY if block.bounds is None else block.bounds.highest


@dataclass(frozen=True, slots=True)
class _FileStamp:
    """Of meta.json, which every commit and merge replaces."""

    inode: int
    time: int
    size: int
    is_stable: bool

    @classmethod
    def read(cls, path: Path) -> "_FileStamp":
        found = os.stat(path / META_FILE)
        settled = time.time_ns() - found.st_mtime_ns > _STABLE_AFTER_NS
        return cls(found.st_ino, found.st_mtime_ns, found.st_size, settled)


@dataclass(frozen=True, slots=True)
class _OpenBlock:
    index: tantivy.Index
    stamp: _FileStamp
    block: IndexBlock


class TextReader:
    """Maps files of blocks into memory and keeps them so: what the writer has deleted since takes room on the
    disk until the next `refresh`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._generation = ""
        self._opened: dict[int, _OpenBlock] = {}
        self._failed: dict[int, tuple[_FileStamp, float]] = {}

    def refresh(self) -> IndexSnapshot:
        """What was committed before this call is found in it. Costs some 0.1 ms if nothing has changed. Never
        raises: a block that cannot be read is not among the blocks."""
        with self._lock:
            try:
                return self._open_snapshot()
            except OSError as error:
                log.debug("The text index cannot be looked at: %s", error)
                return IndexSnapshot("", (), self._mark_failed)

    def _open_snapshot(self) -> IndexSnapshot:
        for _ in range(3):
            mark = read_generation(self._folder)
            generation = mark.name if mark else ""
            if generation != self._generation:
                self._clear()
                self._generation = generation
            if not mark:
                break
            blocks = self._open_blocks()
            again = read_generation(self._folder)
            if again and again.name == generation:  # else these may be blocks of either generation
                return IndexSnapshot(generation, blocks, self._mark_failed)
        return IndexSnapshot("", (), self._mark_failed)

    def _open_blocks(self) -> list[IndexBlock]:
        numbers = list_block_numbers(self._folder)
        for number in self._opened.keys() - set(numbers):
            del self._opened[number]
        return [block for number in numbers if (block := self._open_block(number))]

    def _open_block(self, number: int) -> IndexBlock | None:
        path = block_path(self._folder, number)
        known = self._opened.pop(number, None)
        try:
            stamp = _FileStamp.read(path)  # before it is read: at worst it is read once more than needed
        except OSError:
            return None  # being made, or being removed
        failed = self._failed.get(number)
        if failed and failed[0] == stamp and time.monotonic() - failed[1] < _RETRY_DELAY:
            return None
        try:
            if known is None or known.stamp != stamp or not stamp.is_stable or known.block.bounds is None:
                known = self._load_block(number, path, stamp, known)
        except TextIndexError as error:
            log.debug("Block %d of the text index cannot be read: %s", number, error)
            self._failed[number] = (stamp, time.monotonic())
            return None
        self._opened[number] = known
        self._failed.pop(number, None)
        return known.block

    def _load_block(self, number: int, path: Path, stamp: _FileStamp, known: _OpenBlock | None) -> _OpenBlock:
        bounds = read_bounds(path)
        if known and known.stamp == stamp and stamp.is_stable and bounds is None:
            return known
        with translate_errors(path):
            index = known.index if known else open_index(path)
            index.reload()
            return _OpenBlock(index, stamp, IndexBlock(number, path, index, bounds))

    def _mark_failed(self, block: IndexBlock) -> None:
        """A search in this block failed."""
        with self._lock:
            known = self._opened.pop(block.number, None)
            if known and known.block is block:
                self._failed[block.number] = (known.stamp, time.monotonic())

    def _clear(self) -> None:
        self._opened.clear()
        self._failed.clear()

    def close(self) -> None:
        with self._lock:
            self._clear()
            self._generation = ""
