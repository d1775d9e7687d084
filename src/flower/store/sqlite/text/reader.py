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

from flower.store.sqlite.text.block import META, Block, Keys, TextTrouble, open_to_read, read_bounds, telling
from flower.store.sqlite.text.mark import block_numbers, block_path, read_mark
from flower.store.sqlite.text.trigrams import trigrams_of_all

log = logging.getLogger(__name__)

T = TypeVar("T")

_LARGEST: Final = 2**63 - 1
#: Younger than this, a file may be changed again without its time showing it.
_SETTLED_NS: Final = 100_000_000
#: A block that could not be read is tried again when it has changed, else after so many seconds.
_RETRY_AFTER: Final = 1.0


@dataclass(frozen=True, slots=True)
class Candidates:
    """`keys` rise and are distinct. Every candidate key that was asked for and is >= `lowest` is among them; to
    go on, ask for those below `lowest`. `total` counts documents, and a row that changed may have several; None
    if it was not asked for and not all blocks had to be looked at."""

    keys: Keys
    total: int | None
    lowest: int


class Look:
    """The blocks as they were at one moment: what `candidates` asks, whatever happens to the files meanwhile.
    `generation` is "" and there are no blocks where there is no index that can be used."""

    def __init__(self, generation: str, blocks: Sequence[Block], give_up: Callable[[Block], None]) -> None:
        self.generation = generation
        self._give_up = give_up
        self.blocks: frozenset[int] = frozenset(block.number for block in blocks)
        #: highest keys first; of one that is still written to nothing is known
        self._newest_first = sorted(blocks, key=_highest, reverse=True)

    @property
    def documents(self) -> int:
        return sum(block.documents for block in self._newest_first)

    def block(self, number: int) -> Block:
        return next(block for block in self._newest_first if block.number == number)

    def candidates(
        self, needles: Sequence[str], *, limit: int, below: int | None = None, at_least: int = 0, total: bool = True
    ) -> Candidates:
        """The `limit` highest keys, below `below` and not under `at_least`, of documents that may hold all needles.

        Needles have three characters or more. Without `total`, blocks that cannot add to the keys are left alone.
        Raises TextTrouble if a block turns out to be damaged: look again, it will not be there; ValueError."""
        parts = trigrams_of_all(needles)
        if limit < 1:
            raise ValueError("limit must be at least 1")
        low, high = max(at_least, 0), _LARGEST if below is None else min(below, _LARGEST)
        keys: Keys = np.empty(0, np.int64)
        lowest, count, complete = low, 0, True
        for block in self._newest_first:
            if block.bounds is not None and (block.bounds.highest < low or block.bounds.lowest >= high):
                continue
            enough = len(keys) >= limit and keys[-limit] > _highest(block)
            if enough and not total:
                complete = False
                break
            wanted = 1 if enough else limit
            found, documents = self._asked(block, partial(Block.search, parts=parts, limit=wanted, low=low, high=high))
            count += documents
            if enough:
                lowest = max(lowest, int(keys[-limit]))
                continue
            if documents > len(found):
                lowest = max(lowest, int(found[-1]))
            keys = np.union1d(keys, found)
        if not complete or len(keys) > limit:
            lowest = max(lowest, int(keys[-limit]))
        return Candidates(keys[np.searchsorted(keys, lowest) :], count if complete else None, lowest)

    def at_most(self, needles: Sequence[str]) -> int:
        """There are no more candidates than this. It is known without searching, from how often the rarest trigram
        occurs: for planning. Raises as `candidates` does."""
        parts = trigrams_of_all(needles)
        return sum(self._asked(block, partial(Block.at_most, parts=parts)) for block in self._newest_first)

    def _asked(self, block: Block, question: Callable[[Block], T]) -> T:
        try:
            return question(block)
        except TextTrouble:
            self._give_up(block)
            raise


def _highest(block: Block) -> int:
    return _LARGEST if block.bounds is None else block.bounds.highest


@dataclass(frozen=True, slots=True)
class _Stamp:
    """Of meta.json, which every commit and merge replaces."""

    inode: int
    time: int
    size: int
    settled: bool

    @classmethod
    def of(cls, path: Path) -> "_Stamp":
        found = os.stat(path / META)
        settled = time.time_ns() - found.st_mtime_ns > _SETTLED_NS
        return cls(found.st_ino, found.st_mtime_ns, found.st_size, settled)


@dataclass(frozen=True, slots=True)
class _Opened:
    index: tantivy.Index
    stamp: _Stamp
    block: Block


class TextReader:
    """Maps files of blocks into memory and keeps them so: what the writer has deleted since takes room on the
    disk until the next `refresh`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._generation = ""
        self._opened: dict[int, _Opened] = {}
        self._failed: dict[int, tuple[_Stamp, float]] = {}

    def refresh(self) -> Look:
        """What was committed before this call is found in it. Costs some 0.1 ms if nothing has changed. Never
        raises: a block that cannot be read is not among the blocks."""
        with self._lock:
            try:
                return self._look()
            except OSError as error:
                log.debug("The text index cannot be looked at: %s", error)
                return Look("", (), self._give_up)

    def _look(self) -> Look:
        for _ in range(3):
            mark = read_mark(self._folder)
            generation = mark.generation if mark else ""
            if generation != self._generation:
                self._forget_all()
                self._generation = generation
            if not mark:
                break
            blocks = self._blocks()
            again = read_mark(self._folder)
            if again and again.generation == generation:  # else these may be blocks of either generation
                return Look(generation, blocks, self._give_up)
        return Look("", (), self._give_up)

    def _blocks(self) -> list[Block]:
        numbers = block_numbers(self._folder)
        for number in self._opened.keys() - set(numbers):
            del self._opened[number]
        return [block for number in numbers if (block := self._block(number))]

    def _block(self, number: int) -> Block | None:
        path = block_path(self._folder, number)
        known = self._opened.pop(number, None)
        try:
            stamp = _Stamp.of(path)  # before it is read: at worst it is read once more than needed
        except OSError:
            return None  # being made, or being removed
        failed = self._failed.get(number)
        if failed and failed[0] == stamp and time.monotonic() - failed[1] < _RETRY_AFTER:
            return None
        try:
            if known is None or known.stamp != stamp or not stamp.settled or known.block.bounds is None:
                known = self._open(number, path, stamp, known)
        except TextTrouble as error:
            log.debug("Block %d of the text index cannot be read: %s", number, error)
            self._failed[number] = (stamp, time.monotonic())
            return None
        self._opened[number] = known
        self._failed.pop(number, None)
        return known.block

    def _open(self, number: int, path: Path, stamp: _Stamp, known: _Opened | None) -> _Opened:
        bounds = read_bounds(path)
        if known and known.stamp == stamp and stamp.settled and bounds is None:
            return known
        with telling(path):
            index = known.index if known else open_to_read(path)
            index.reload()
            return _Opened(index, stamp, Block(number, path, index, bounds))

    def _give_up(self, block: Block) -> None:
        """A search in this block failed."""
        with self._lock:
            known = self._opened.pop(block.number, None)
            if known and known.block is block:
                self._failed[block.number] = (known.stamp, time.monotonic())

    def _forget_all(self) -> None:
        self._opened.clear()
        self._failed.clear()

    def close(self) -> None:
        with self._lock:
            self._forget_all()
            self._generation = ""
