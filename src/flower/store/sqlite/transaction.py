"""One write over several files: all of it becomes visible, or none. The files commit one after the other, the active
segment first and meta.db last. If a commit fails, earlier commits are rolled back, now or, without disk space, before
the next write. If the process is killed between the last segment and meta.db, the write is completed when the store is
opened (`meta_update`)."""

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from flower.records import Gap, Task, Worker
from flower.store.protocols import Batch, TaskChange
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.meta_update import encode_meta_update
from flower.store.sqlite.row_codec import pack_id
from flower.store.sqlite.segment import SegmentFile

if TYPE_CHECKING:
    from flower.store.sqlite.segment_set import SegmentSet


class Transaction:
    """A write of the writer."""

    def __init__(self, segments: "SegmentSet") -> None:
        self._segments = segments
        self._sequence = segments.meta.sequence + 1
        #: segments of this transaction and their changes
        self._touched: dict[int, tuple[SegmentFile, list[TaskChange]]] = {}
        self._new: list[SegmentFile] = []
        self._committed: list[tuple[SegmentFile, SegmentInfo, list[TaskChange]]] = []
        self._next = segments.next_key
        #: packed ids of the inserted tasks by segment
        self._added: dict[int, list[bytes | str]] = {}
        self.moved_from: int | None = None
        #: deletions need not be rolled back: the tasks may be removed anyway
        self.is_deletion = False

    def segment(self, number: int) -> SegmentFile:
        if number not in self._touched:
            file = self._segments.segment(number)
            file.begin()
            self._touched[number] = (file, [])
        return self._touched[number][0]

    def update(self, number: int, changes: Sequence[TaskChange]) -> list[TaskChange]:
        """Return the changes whose rows do not exist."""
        file = self.segment(number)
        self._touched[number][1].extend(changes)
        return file.update(changes)

    def insert(self, tasks: Sequence[Task]) -> list[int]:
        """Append tasks; a full segment is followed by a new one. Return their keys."""
        first = self._next
        remaining = list(tasks)
        while remaining:
            file = self._active_file()
            part, remaining = remaining[: file.free_rows], remaining[file.free_rows :]
            self._added.setdefault(file.number, []).extend(file.insert(self._next, part))
            self._next += len(part)
        return list(range(first, self._next))

    def _active_file(self) -> SegmentFile:
        number = self._new[-1].number if self._new else self._segments.active_number
        if number is not None:
            file = self.segment(number)
            if file.free_rows > 0 and not file.sealed:
                return file
        file = self._segments.make_segment(self._next, ahead=len(self._new))
        self._new.append(file)
        return self.segment(file.number)

    def commit(
        self,
        updated: Sequence[str] = (),
        workers: Sequence[Worker] = (),
        gaps: Sequence[Gap] = (),
        drop: Sequence[int] = (),
        *,
        parked: Sequence[Task] | None = None,
        batch: Batch | None = None,
    ) -> None:
        """`updated`: ids for the change log, in addition to those of inserted tasks if there is a `batch`."""
        newest_first = sorted(self._touched, reverse=True)
        # recorded by the last file to commit of those that received moved rows
        recording_number = min(self._added, default=None)
        meta_update = None if batch is None else encode_meta_update(self._sequence, batch)
        for number in newest_first:
            file, _ = self._touched[number]
            file.write_info(
                self._sequence,
                moved_from=self.moved_from if number == recording_number else None,
                meta_update=meta_update if number == newest_first[-1] else None,
            )
        for number in newest_first:
            file, changes = self._touched[number]
            before = file.info
            file.commit()
            self._committed.append((file, before, changes))
        ids = [pack_id(uuid) for uuid in updated]
        if batch is not None:
            ids += chain.from_iterable(self._added.values())
        self._segments.commit_meta(
            self._sequence,
            [file.info for file, _ in self._touched.values()],
            ids=ids, workers=workers, gaps=gaps, drop=drop, parked=parked, batch=batch,
        )  # fmt: skip
        self._segments.apply_commit(self._next, self._new, self._added, self._touched)

    def rollback(self) -> None:
        """Undo everything. Never raises: what cannot be undone now is left to `SegmentSet.finish_deferred`."""
        committed = {file.number for file, _, _ in self._committed}
        new = {file.number for file in self._new}
        for number, (file, _) in self._touched.items():
            if number not in committed and number not in new:
                self._segments.files.roll_back(file)
        for file in self._new:
            self._segments.files.delete_new(file.number)
        for file, before, changes in self._committed:
            if file.number in new:
                continue
            if self.is_deletion and file.number not in self._added:
                self._segments.defer_catalog_update(file.info)
            else:
                self._segments.defer_rollback(file.number, before, changes)
        self._segments.try_finish_deferred()
