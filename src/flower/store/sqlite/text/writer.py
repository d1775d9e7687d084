"""Adding to the text index: one thread of one process. Only the newest block is written."""

import contextlib
import logging
import time
from pathlib import Path
from typing import Final

import tantivy

from flower.store.sqlite.text import generation as marks
from flower.store.sqlite.text.checksum import find_damage
from flower.store.sqlite.text.generation import block_path, list_block_numbers, remove_tree
from flower.store.sqlite.text.index_block import (
    META_FILE,
    KeyRange,
    TextIndexError,
    create_document,
    find_open_error,
    open_index_writer,
    read_bounds,
    translate_errors,
    write_bounds,
)
from flower.store.sqlite.text.reader import IndexSnapshot, TextReader
from flower.store.sqlite.text.trigrams import normalize_text

log = logging.getLogger(__name__)

MAX_BLOCK_DOCUMENTS: Final = 1_000_000
#: A full block goes on merging in threads of tantivy's own. When nothing has changed in it for so many seconds
#: they have finished.
_MERGE_IDLE_SECONDS: Final = 120.0


class _CurrentBlock:
    """The block that is written to."""

    def __init__(self, number: int, path: Path, documents: int, bounds: KeyRange | None) -> None:
        self.number = number
        self.path = path
        self.document_count = documents
        self.lowest, self.highest = (bounds.lowest, bounds.highest) if bounds else (2**63 - 1, -1)
        self.writer = open_index_writer(path)
        self.uncommitted = 0

    def add(self, key: int, text: str) -> None:
        self.writer.add_document(create_document(key, text))
        self.uncommitted += 1
        self.lowest = min(self.lowest, key)
        self.highest = max(self.highest, key)

    def commit(self) -> None:
        self.writer.commit()
        self.document_count += self.uncommitted
        self.uncommitted = 0


class TextWriter:
    """Raises TextTrouble, from the constructor and from every method. After that this one is of no use any more:
    close it, make another, and add again what was not committed.

    `generation` names what the numbers of blocks belong to, see `mark`."""

    def __init__(self, folder: Path, *, max_block_documents: int = MAX_BLOCK_DOCUMENTS) -> None:
        self._folder = folder
        self._max_block_documents = max_block_documents
        self._current: _CurrentBlock | None = None
        #: full blocks that may still be merging
        self._merging: dict[int, tantivy.IndexWriter] = {}
        self._reader = TextReader(folder)
        with translate_errors(folder):
            mark = marks.read_generation(folder)
            if mark is None or mark.is_exhausted:
                if folder.exists():
                    log.info("The text index in %s is begun anew.", folder)
                mark = marks.create_generation(folder)
            self._generation = mark
            self._unverified = self._remove_damaged_blocks()
            self._write_missing_bounds()

    @property
    def generation(self) -> str:
        return self._generation.name

    @property
    def blocks(self) -> frozenset[int]:
        """Those that can be read, among them the one that is written to, once something was committed to it."""
        return self._check_snapshot().blocks

    def _check_snapshot(self) -> IndexSnapshot:
        look = self._reader.refresh()
        lost = look.generation != self.generation
        if lost or (self._current and self._current.document_count and self._current.number not in look.blocks):
            raise TextIndexError(f"The text index in {self._folder} was removed or damaged while it was written")
        return look

    # --- opening

    def _remove_damaged_blocks(self) -> list[int]:
        """Remove what cannot be read; gives the numbers of the blocks that are there. Raises OSError."""
        for path in self._folder.iterdir():
            if path.name.endswith((marks.REMOVED_SUFFIX, ".new")):
                remove_tree(path)
        readable = self._reader.refresh().blocks
        for number in list_block_numbers(self._folder):
            if number not in readable:
                # an error that may pass, like too many open files, is raised, and nothing is removed for it
                path = block_path(self._folder, number)
                reason = find_damage(path) or find_open_error(path)
                if reason:
                    self._remove_damaged(number, reason)
        return sorted(readable, reverse=True)

    def _write_missing_bounds(self) -> None:
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
        receiving = self._current or self._open_current()
        with translate_errors(receiving.path):
            receiving.add(key, normalize_text(text))

    def commit(self) -> int:
        """On disk, and to be found by whoever refreshes afterwards. Gives the number of the block in which all is
        that was added since the last commit; 0 if nothing was ever added by this writer."""
        receiving = self._current
        if receiving is None:
            return 0
        with translate_errors(receiving.path):
            if receiving.uncommitted:
                receiving.commit()
            if receiving.document_count >= self._max_block_documents:
                write_bounds(receiving.path, KeyRange(receiving.lowest, receiving.highest))
                self._merging[receiving.number] = receiving.writer
                self._current = None
        return receiving.number

    def _open_current(self) -> _CurrentBlock:
        """Go on with the newest block if it is not full, else begin another."""
        with translate_errors(self._folder):
            look = self._check_snapshot()
            newest = look.block(max(look.blocks)) if look.blocks else None
            if newest and newest.bounds is None and newest.document_count < self._max_block_documents:
                bounds = newest.find_bounds()
                self._current = _CurrentBlock(newest.number, newest.path, newest.document_count, bounds)
                return self._current
            if self._generation.is_exhausted:
                raise TextIndexError("All numbers of blocks of the text index were given", hint="it is begun anew")
            if newest and newest.bounds is None and (bounds := newest.find_bounds()):
                write_bounds(newest.path, bounds)
            mark = self._generation.with_next_block()
            marks.write_generation(self._folder, mark)
            self._generation = mark
            path = block_path(self._folder, mark.last_block)
            path.mkdir()
            self._current = _CurrentBlock(mark.last_block, path, 0, None)
        return self._current

    # --- keeping house, between a commit and the next addition

    def delete_before(self, key: int) -> None:
        """Remove the blocks of which all keys are smaller."""
        with translate_errors(self._folder):
            for number in list_block_numbers(self._folder):
                bounds = self._block_bounds(number)
                if bounds and bounds.highest < key:
                    self._remove(number)
            self._release_merged()

    def _block_bounds(self, number: int) -> KeyRange | None:
        receiving = self._current
        if receiving and receiving.number == number:
            done = receiving.document_count and not receiving.uncommitted
            return KeyRange(receiving.lowest, receiving.highest) if done else None
        finished = read_bounds(block_path(self._folder, number))
        if finished:
            return finished
        look = self._check_snapshot()
        return look.block(number).find_bounds() if number in look.blocks else None

    def verify_next(self) -> bool:
        """Compare the checksums of one block that was there at the start, and remove it if they differ: 0.1 s, and
        nobody else is kept waiting. False if none is left."""
        while self._unverified:
            number = self._unverified.pop(0)
            path = block_path(self._folder, number)
            with translate_errors(path):
                if path.exists() and (reason := find_damage(path)):
                    self._remove_damaged(number, reason)
                    return True
        return False

    def remove_unreadable(self) -> None:
        """What was damaged while we had it open."""
        with translate_errors(self._folder):
            self._remove_damaged_blocks()

    def _remove_damaged(self, number: int, reason: str) -> None:
        log.warning("Damaged part of the text index removed: %06d (%s). It is made anew.", number, reason)
        self._remove(number)

    def _remove(self, number: int) -> None:
        self._merging.pop(number, None)
        if self._current and self._current.number == number:
            self._current = None
        remove_tree(block_path(self._folder, number))

    def _release_merged(self) -> None:
        for number in list(self._merging):
            with contextlib.suppress(OSError):
                changed = (block_path(self._folder, number) / META_FILE).stat().st_mtime
                if time.time() - changed > _MERGE_IDLE_SECONDS:
                    del self._merging[number]

    def close(self) -> None:
        """Merges that run are cut off, which the next one who opens the block makes good. Takes as long as a commit."""
        receiving, self._current = self._current, None
        if receiving and receiving.uncommitted:
            # dropped, tantivy's writer would first work off what was added, holding the interpreter's lock
            with contextlib.suppress(TextIndexError), translate_errors(receiving.path):
                receiving.writer.commit()
        self._merging.clear()
        self._reader.close()
