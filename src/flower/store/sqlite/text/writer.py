"""Adding to the text index: one thread of one process. Only the newest block is written."""

import contextlib
import logging
import time
from pathlib import Path
from typing import Final

import tantivy

from flower.store.sqlite.text import mark as marks
from flower.store.sqlite.text.block import (
    META,
    Bounds,
    TextTrouble,
    document,
    open_to_write,
    read_bounds,
    telling,
    why_unreadable,
    write_bounds,
)
from flower.store.sqlite.text.checksum import damage
from flower.store.sqlite.text.mark import block_numbers, block_path, remove_tree
from flower.store.sqlite.text.reader import Look, TextReader
from flower.store.sqlite.text.trigrams import folded

log = logging.getLogger(__name__)

BLOCK_DOCS: Final = 1_000_000
#: A full block goes on merging in threads of tantivy's own. When nothing has changed in it for so many seconds
#: they have finished.
_MERGED_AFTER: Final = 120.0


class _Receiving:
    """The block that is written to."""

    def __init__(self, number: int, path: Path, documents: int, bounds: Bounds | None) -> None:
        self.number = number
        self.path = path
        self.documents = documents
        self.lowest, self.highest = (bounds.lowest, bounds.highest) if bounds else (2**63 - 1, -1)
        self.writer = open_to_write(path)
        self.uncommitted = 0

    def add(self, key: int, text: str) -> None:
        self.writer.add_document(document(key, text))
        self.uncommitted += 1
        self.lowest = min(self.lowest, key)
        self.highest = max(self.highest, key)

    def commit(self) -> None:
        self.writer.commit()
        self.documents += self.uncommitted
        self.uncommitted = 0


class TextWriter:
    """Raises TextTrouble, from the constructor and from every method. After that this one is of no use any more:
    close it, make another, and add again what was not committed.

    `generation` names what the numbers of blocks belong to, see `mark`."""

    def __init__(self, folder: Path, *, block_docs: int = BLOCK_DOCS) -> None:
        self._folder = folder
        self._block_docs = block_docs
        self._receiving: _Receiving | None = None
        #: full blocks that may still be merging
        self._merging: dict[int, tantivy.IndexWriter] = {}
        self._reader = TextReader(folder)
        with telling(folder):
            mark = marks.read_mark(folder)
            if mark is None or mark.used_up:
                if folder.exists():
                    log.info("The text index in %s is begun anew.", folder)
                mark = marks.begin(folder)
            self._mark = mark
            self._unchecked = self._clean()
            self._finish_all_but_newest()

    @property
    def generation(self) -> str:
        return self._mark.generation

    @property
    def blocks(self) -> frozenset[int]:
        """Those that can be read, among them the one that is written to, once something was committed to it."""
        return self._look().blocks

    def _look(self) -> Look:
        look = self._reader.refresh()
        lost = look.generation != self.generation
        if lost or (self._receiving and self._receiving.documents and self._receiving.number not in look.blocks):
            raise TextTrouble(f"The text index in {self._folder} was removed or damaged while it was written")
        return look

    # --- opening

    def _clean(self) -> list[int]:
        """Remove what cannot be read; gives the numbers of the blocks that are there. Raises OSError."""
        for path in self._folder.iterdir():
            if path.name.endswith((marks.GONE, ".new")):
                remove_tree(path)
        readable = self._reader.refresh().blocks
        for number in block_numbers(self._folder):
            if number not in readable:
                # an error that may pass, like too many open files, is raised, and nothing is removed for it
                path = block_path(self._folder, number)
                reason = damage(path) or why_unreadable(path)
                if reason:
                    self._remove_damaged(number, reason)
        return sorted(readable, reverse=True)

    def _finish_all_but_newest(self) -> None:
        look = self._reader.refresh()
        for number in sorted(look.blocks)[:-1]:
            block = look.block(number)
            if block.bounds is None:
                bounds = block.find_bounds()
                if bounds is None:
                    self._remove(number)
                else:
                    write_bounds(block.path, bounds)

    # --- adding

    def add(self, key: int, text: str) -> None:
        receiving = self._receiving or self._begin()
        with telling(receiving.path):
            receiving.add(key, folded(text))

    def commit(self) -> int:
        """On disk, and to be found by whoever refreshes afterwards. Gives the number of the block in which all is
        that was added since the last commit; 0 if nothing was ever added by this writer."""
        receiving = self._receiving
        if receiving is None:
            return 0
        with telling(receiving.path):
            if receiving.uncommitted:
                receiving.commit()
            if receiving.documents >= self._block_docs:
                write_bounds(receiving.path, Bounds(receiving.lowest, receiving.highest))
                self._merging[receiving.number] = receiving.writer
                self._receiving = None
        return receiving.number

    def _begin(self) -> _Receiving:
        """Go on with the newest block if it is not full, else begin another."""
        with telling(self._folder):
            look = self._look()
            newest = look.block(max(look.blocks)) if look.blocks else None
            if newest and newest.bounds is None and newest.documents < self._block_docs:
                bounds = newest.find_bounds()
                self._receiving = _Receiving(newest.number, newest.path, newest.documents, bounds)
                return self._receiving
            if self._mark.used_up:
                raise TextTrouble("All numbers of blocks of the text index were given", hint="it is begun anew")
            if newest and newest.bounds is None and (bounds := newest.find_bounds()):
                write_bounds(newest.path, bounds)
            mark = self._mark.next()
            marks.write_mark(self._folder, mark)
            self._mark = mark
            path = block_path(self._folder, mark.last)
            path.mkdir()
            self._receiving = _Receiving(mark.last, path, 0, None)
        return self._receiving

    # --- keeping house, between a commit and the next addition

    def drop_below(self, key: int) -> None:
        """Remove the blocks of which all keys are smaller."""
        with telling(self._folder):
            for number in block_numbers(self._folder):
                bounds = self._bounds(number)
                if bounds and bounds.highest < key:
                    self._remove(number)
            self._let_go()

    def _bounds(self, number: int) -> Bounds | None:
        receiving = self._receiving
        if receiving and receiving.number == number:
            done = receiving.documents and not receiving.uncommitted
            return Bounds(receiving.lowest, receiving.highest) if done else None
        finished = read_bounds(block_path(self._folder, number))
        if finished:
            return finished
        look = self._look()
        return look.block(number).find_bounds() if number in look.blocks else None

    def check_next(self) -> bool:
        """Compare the checksums of one block that was there at the start, and remove it if they differ: 0.1 s, and
        nobody else is kept waiting. False if none is left."""
        while self._unchecked:
            number = self._unchecked.pop(0)
            path = block_path(self._folder, number)
            with telling(path):
                if path.exists() and (reason := damage(path)):
                    self._remove_damaged(number, reason)
                    return True
        return False

    def remove_unreadable(self) -> None:
        """What was damaged while we had it open."""
        with telling(self._folder):
            self._clean()

    def _remove_damaged(self, number: int, reason: str) -> None:
        log.warning("Damaged part of the text index removed: %06d (%s). It is made anew.", number, reason)
        self._remove(number)

    def _remove(self, number: int) -> None:
        self._merging.pop(number, None)
        if self._receiving and self._receiving.number == number:
            self._receiving = None
        remove_tree(block_path(self._folder, number))

    def _let_go(self) -> None:
        for number in list(self._merging):
            with contextlib.suppress(OSError):
                changed = (block_path(self._folder, number) / META).stat().st_mtime
                if time.time() - changed > _MERGED_AFTER:
                    del self._merging[number]

    def close(self) -> None:
        """What was not committed is dropped; merges that run are cut off, which the next one who opens the block
        makes good. Takes no longer than reading what was added last."""
        self._receiving = None
        self._merging.clear()
        self._reader.close()
