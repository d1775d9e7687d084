"""Writer of the text index: one thread of one process. Only the newest block is written."""

import contextlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flower.private_files import create_directory
from flower.store.sqlite.text.checksum import find_damage
from flower.store.sqlite.text.generation import (
    REMOVED_SUFFIX,
    block_path,
    create_generation,
    list_block_numbers,
    read_generation,
    remove_tree,
    write_generation,
)
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

if TYPE_CHECKING:
    import tantivy

log = logging.getLogger(__name__)

MAX_BLOCK_DOCUMENTS: Final = 1_000_000
#: tantivy continues to merge a full block in its own threads. When the block has not changed for this many seconds,
#: merging has finished.
_MERGE_IDLE_SECONDS: Final = 120.0


class _CurrentBlock:
    """The block that receives documents."""

    def __init__(self, number: int, path: Path, documents: int, bounds: KeyRange | None) -> None:
        self.number = number
        self.path = path
        self.document_count = documents
        self.lowest, self.highest = (bounds.lowest, bounds.highest) if bounds else (2**63 - 1, -1)
        self.writer = open_index_writer(path)
        self.uncommitted = 0

    def add(self, documents: Sequence[tuple[int, str]]) -> None:
        add_document = self.writer.add_document
        for key, text in documents:
            add_document(create_document(key, normalize_text(text)))
        self.uncommitted += len(documents)
        keys = [key for key, _ in documents]
        self.lowest = min(self.lowest, *keys)
        self.highest = max(self.highest, *keys)

    def commit(self) -> None:
        self.writer.commit()
        self.document_count += self.uncommitted
        self.uncommitted = 0


class TextWriter:
    """Adds documents to the index.

    The constructor and every method raise TextIndexError. After that the object is unusable: close it, create another,
    and add the uncommitted documents again.

    The block numbers belong to `generation`, see the module `generation`.
    """

    def __init__(self, directory: Path, *, max_block_documents: int = MAX_BLOCK_DOCUMENTS) -> None:
        self._directory = directory
        self._max_block_documents = max_block_documents
        self._current: _CurrentBlock | None = None
        # full blocks that may still be merging
        self._merging: dict[int, tantivy.IndexWriter] = {}
        self._reader = TextReader(directory)
        with translate_errors(directory):
            generation = read_generation(directory)
            if generation is None or generation.is_exhausted:
                if directory.exists():
                    log.info("Rebuilding the text index in %s.", directory)
                generation = create_generation(directory)
            self._generation = generation
            self._unverified = self._remove_damaged_blocks()
            self._write_missing_bounds()

    @property
    def generation(self) -> str:
        return self._generation.name

    @property
    def blocks(self) -> frozenset[int]:
        """Numbers of the readable blocks, including the one being written once it has a commit."""
        return self._check_snapshot().blocks

    def _check_snapshot(self) -> IndexSnapshot:
        snapshot = self._reader.refresh()
        lost = snapshot.generation != self.generation
        if lost or (self._current and self._current.document_count and self._current.number not in snapshot.blocks):
            raise TextIndexError(f"The text index in {self._directory} was removed or damaged by another process")
        return snapshot

    # --- opening

    def _remove_damaged_blocks(self) -> list[int]:
        """Remove unreadable blocks; return the numbers of the others. Raises OSError."""
        for path in self._directory.iterdir():
            if path.name.endswith((REMOVED_SUFFIX, ".new")):
                remove_tree(path)
        readable = self._reader.refresh().blocks
        for number in list_block_numbers(self._directory):
            if number not in readable:
                # a transient error, such as too many open files, is raised, and nothing is removed for it
                path = block_path(self._directory, number)
                reason = find_damage(path) or find_open_error(path)
                if reason:
                    self._remove_damaged(number, reason)
        return sorted(readable, reverse=True)

    def _write_missing_bounds(self) -> None:
        snapshot = self._reader.refresh()
        for number in sorted(snapshot.blocks)[:-1]:
            block = snapshot.block(number)
            if block.bounds is None:
                bounds = block.find_bounds()
                if bounds is None:
                    self._remove(number)
                else:
                    write_bounds(block.path, bounds)

    # --- adding

    def add(self, key: int, text: str) -> None:
        self.add_all([(key, text)])

    def add_all(self, documents: Sequence[tuple[int, str]]) -> None:
        """Add the (key, text) of several documents to one block."""
        if documents:
            current = self._current or self._open_current()
            with translate_errors(current.path):
                current.add(documents)

    def commit(self) -> int:
        """Commit durably; a refresh after this call finds the documents.

        Return the number of the block that contains all documents added since the last commit; 0 if this writer has
        never added any.
        """
        current = self._current
        if current is None:
            return 0
        with translate_errors(current.path):
            if current.uncommitted:
                current.commit()
            if current.document_count >= self._max_block_documents:
                write_bounds(current.path, KeyRange(current.lowest, current.highest))
                self._merging[current.number] = current.writer
                self._current = None
        return current.number

    def _open_current(self) -> _CurrentBlock:
        """Continue the newest block if it is not full, otherwise create the next one."""
        with translate_errors(self._directory):
            snapshot = self._check_snapshot()
            newest = snapshot.block(max(snapshot.blocks)) if snapshot.blocks else None
            if newest and newest.bounds is None and newest.document_count < self._max_block_documents:
                bounds = newest.find_bounds()
                self._current = _CurrentBlock(newest.number, newest.path, newest.document_count, bounds)
                return self._current
            if self._generation.is_exhausted:
                raise TextIndexError("Text index: no more block numbers", hint="the index is rebuilt automatically")
            if newest and newest.bounds is None and (bounds := newest.find_bounds()):
                write_bounds(newest.path, bounds)
            generation = self._generation.with_next_block()
            write_generation(self._directory, generation)
            self._generation = generation
            path = block_path(self._directory, generation.last_block)
            create_directory(path)
            self._current = _CurrentBlock(generation.last_block, path, 0, None)
        return self._current

    # --- maintenance, between a commit and the next addition

    def delete_before(self, key: int) -> None:
        """Remove the blocks whose keys are all smaller."""
        with translate_errors(self._directory):
            for number in list_block_numbers(self._directory):
                bounds = self._block_bounds(number)
                if bounds and bounds.highest < key:
                    self._remove(number)
            self._release_merged()

    def _block_bounds(self, number: int) -> KeyRange | None:
        current = self._current
        if current and current.number == number:
            is_committed = current.document_count and not current.uncommitted
            return KeyRange(current.lowest, current.highest) if is_committed else None
        finished = read_bounds(block_path(self._directory, number))
        if finished:
            return finished
        snapshot = self._check_snapshot()
        return snapshot.block(number).find_bounds() if number in snapshot.blocks else None

    def verify_next(self) -> bool:
        """Verify the checksums of one block that existed at the start, and remove the block if they differ.

        Takes 0.1 s and blocks no other thread. Return False if no block is left to verify.
        """
        while self._unverified:
            number = self._unverified.pop(0)
            path = block_path(self._directory, number)
            with translate_errors(path):
                if path.exists() and (reason := find_damage(path)):
                    self._remove_damaged(number, reason)
                    return True
        return False

    def remove_unreadable(self) -> None:
        """Remove blocks that were damaged while they were open."""
        with translate_errors(self._directory):
            self._remove_damaged_blocks()

    def _remove_damaged(self, number: int, reason: str) -> None:
        log.warning("Removed damaged block %06d of the text index (%s); its rows are indexed again.", number, reason)
        self._remove(number)

    def _remove(self, number: int) -> None:
        self._merging.pop(number, None)
        if self._current and self._current.number == number:
            self._current = None
        remove_tree(block_path(self._directory, number))

    def _release_merged(self) -> None:
        for number in list(self._merging):
            with contextlib.suppress(OSError):
                changed = (block_path(self._directory, number) / META_FILE).stat().st_mtime
                if time.time() - changed > _MERGE_IDLE_SECONDS:
                    del self._merging[number]

    def close(self) -> None:
        """Close the writer; takes as long as a commit.

        Running merges are cancelled; the next writer of the block repeats them.
        """
        current, self._current = self._current, None
        if current and current.uncommitted:
            # otherwise tantivy would process the added documents while the writer is deallocated, holding the GIL
            with contextlib.suppress(TextIndexError), translate_errors(current.path):
                current.writer.commit()
        self._merging.clear()
        self._reader.close()
