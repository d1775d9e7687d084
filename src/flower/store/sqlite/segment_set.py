"""The segment files of the writer: opening, catalog updates, maintenance, deferred rollbacks, and quarantine of damaged
files."""

import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import apsw

from flower.errors import FlowerError
from flower.records import Gap, Task, Worker
from flower.store.protocols import Batch, TaskChange
from flower.store.sqlite.bloom_filter import BloomFilters
from flower.store.sqlite.catalog import Catalog, SegmentInfo
from flower.store.sqlite.connection import (
    CLOSED_CACHE_KB,
    CLOSED_CHECKPOINT,
    DAMAGE_ERRORS,
    DISK_FULL_ERRORS,
    create_database,
    open_for_writing,
)
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.meta_db import MetaWriter, read_segments
from flower.store.sqlite.row_codec import pack_id
from flower.store.sqlite.schema import APPLICATION_ID, FORMAT_VERSION, META_SCHEMA
from flower.store.sqlite.segment import DamagedFile, SegmentFile

log = logging.getLogger(__name__)

#: Maximum number of open segments. The Bloom filters have false positives, and opening a file for one costs fifty times
#: as much as the lookup.
_MAX_OPEN_FILES = 64

#: Seconds after its last change before a full segment is maintained: late events of its last tasks still arrive.
MAINTENANCE_DELAY = 10.0


class SegmentSet:
    """Created when the store is opened for writing. Raises StoreFull, or apsw errors of the same meaning."""

    def __init__(self, directory: StoreDirectory, capacity: int) -> None:
        self.directory = directory
        self._capacity = capacity
        self._open: OrderedDict[int, SegmentFile] = OrderedDict()
        self.bloom_filters = BloomFilters()
        self._deferred_rollbacks: dict[int, tuple[SegmentInfo, list[TaskChange]]] = {}
        self._deferred_entries: dict[int, SegmentInfo] = {}
        self._highest = 0
        self.next_key = 1
        #: segments whose columns must be rebuilt or sorted, and the time of their last change
        self.pending_maintenance: dict[int, float] = {}
        self.catalog = Catalog()
        directory.remove_leftovers()
        self.meta = self._open_meta()
        try:
            self._open_segments()
        except BaseException:
            self.close()
            raise

    # --- opening the store

    def _open_meta(self) -> MetaWriter:
        for _ in range(2):
            if not self.directory.meta_path.exists():
                create_database(self.directory.meta_path, META_SCHEMA, APPLICATION_ID, FORMAT_VERSION)
            try:
                connection = open_for_writing(
                    self.directory.meta_path, cache_kb=CLOSED_CACHE_KB, checkpoint=CLOSED_CHECKPOINT
                )
                try:
                    read_segments(connection)
                    return MetaWriter(connection)
                except BaseException:
                    connection.close()
                    raise
            except (*DAMAGE_ERRORS, apsw.SQLError, ValueError) as error:
                self.directory.quarantine(self.directory.meta_path, error)
        raise AssertionError("a new meta.db cannot be damaged")

    def _open_segments(self) -> None:
        """Read the metadata of each segment, quarantine unreadable files, and detect whether the last write was
        interrupted between the segments and meta.db."""
        known = {entry.number: entry for entry in read_segments(self.meta.connection)}
        opened: dict[int, SegmentInfo] = {}
        numbers = self.directory.segment_numbers()
        self._highest = max([0, *known, *numbers, *self._quarantined_numbers()])
        for number in numbers:
            try:
                file = self._open_file(number, active=number == numbers[-1])
                opened[number] = file.info
                file.load_bloom_filter(self.bloom_filters)
                if number == numbers[-1] and not file.columns.is_valid:
                    file.rebuild_columns()
                elif not file.columns.is_sorted:
                    self.pending_maintenance[number] = 0.0
                if file.sealed and number != numbers[-1]:
                    self._close_file(number)
            except DamagedFile as damage:
                opened.pop(number, None)
                self._close_file(number)
                self.bloom_filters.remove_filter(number)
                self.directory.quarantine(self.directory.segment_path(number), damage.reason)
        for number in self._finish_moves(opened):
            del opened[number]
        self.catalog = Catalog(opened.values())
        self._seal()
        self.close_idle()
        self.next_key = max((entry.next for entry in (*opened.values(), *known.values())), default=1)
        if opened != known:
            newest = max([self.meta.sequence, *(entry.sequence for entry in opened.values())])
            removed = [number for number in known if number not in opened]
            self.commit_meta(newest + 1, list(opened.values()), drop=removed, complete=False)

    def _quarantined_numbers(self) -> list[int]:
        digits = [name[4:10] for name in self.directory.quarantined_files() if name.startswith("seg-")]
        return [int(number) for number in digits if number.isdigit()]

    def _finish_moves(self, opened: dict[int, SegmentInfo]) -> list[int]:
        """Delete segments whose rows were moved, but whose files were not deleted before the process was killed."""
        moved = [entry.moved_from for entry in opened.values() if entry.moved_from in opened]
        for number in moved:
            self._delete_file(number)
        return [number for number in moved if number is not None]

    # --- open files

    @property
    def active_number(self) -> int | None:
        """The segment that new tasks are inserted into."""
        return self.catalog.segments[-1].number if len(self.catalog) else None

    def segment(self, number: int) -> SegmentFile:
        file = self._open.get(number)
        if file is None:
            return self._open_file(number, active=number == self.active_number)
        self._open.move_to_end(number)
        return file

    def _open_file(self, number: int, *, active: bool) -> SegmentFile:
        file = SegmentFile(
            self.directory.segment_path(number), self.directory.columns_path(number), number, active=active
        )
        self._open[number] = file
        return file

    def close_idle(self) -> None:
        """Close the least recently used files. Only between transactions."""
        for number in list(self._open):
            if len(self._open) <= _MAX_OPEN_FILES:
                break
            if number != self.active_number:
                self._close_file(number)

    def make_segment(self, first: int, *, ahead: int) -> SegmentFile:
        number = self._highest + 1 + ahead
        file = SegmentFile.create(
            self.directory.segment_path(number), self.directory.columns_path(number), number, first, self._capacity
        )
        self._open[number] = file
        return file

    def delete_new_segment(self, file: SegmentFile) -> None:
        self._close_file(file.number)
        with contextlib.suppress(OSError):
            self.directory.remove(self.directory.segment_path(file.number))
            self.directory.columns_path(file.number).unlink(missing_ok=True)

    def roll_back(self, file: SegmentFile) -> None:
        try:
            file.rollback()
        except (apsw.Error, DamagedFile) as error:
            log.warning("Segment %d was closed after a failed rollback: %s", file.number, error)
            self._close_file(file.number)

    def _close_file(self, number: int) -> None:
        file = self._open.pop(number, None)
        if file is not None:
            file.close()

    def _delete_file(self, number: int | None) -> None:
        if number is not None:
            self._close_file(number)
            self.bloom_filters.remove_filter(number)
            self.directory.remove(self.directory.segment_path(number))
            self._delete_columns(number)

    def _delete_columns(self, number: int) -> None:
        self.pending_maintenance.pop(number, None)
        self.directory.columns_path(number).unlink(missing_ok=True)

    def close(self) -> None:
        for number in list(self._open):
            self._close_file(number)
        self.meta.connection.close()

    # --- commit

    def commit_meta(
        self,
        sequence: int,
        entries: Sequence[SegmentInfo],
        *,
        uuids: Sequence[str] = (),
        workers: Sequence[Worker] = (),
        gaps: Sequence[Gap] = (),
        drop: Sequence[int] = (),
        parked: Sequence[Task] | None = None,
        batch: Batch | None = None,
        complete: bool = True,
    ) -> None:
        """`batch`: new counters and marks."""
        meta = self.meta
        try:
            with meta.connection:
                meta.put_segments([*self._deferred_entries.values(), *entries])
                for number in drop:
                    meta.drop_segment(number)
                meta.put_workers(workers)
                meta.put_gaps(gaps)
                if parked is not None:
                    meta.park_tasks(parked)
                if batch is not None:
                    meta.put_counters(sequence, batch)
                meta.log_batch(sequence, uuids, complete=complete)
        except BaseException as error:
            if isinstance(error, DAMAGE_ERRORS):
                raise DamagedFile(None, error) from error
            meta.reload()
            raise
        self._deferred_entries.clear()
        known = {entry.number: entry for entry in self.catalog}
        known.update((entry.number, entry) for entry in entries)
        for number in drop:
            known.pop(number, None)
        self.catalog = Catalog(known.values())

    def apply_commit(
        self, next_key: int, new: Sequence[SegmentFile], added: dict[int, list[str]], touched: Iterable[int]
    ) -> None:
        """Called when a write is on disk: add the new ids to the Bloom filters, and seal full segments."""
        self.next_key = next_key
        now = time.monotonic()
        for number in touched:
            if number != self.active_number or new:
                self.pending_maintenance[number] = now
        for file in new:
            self._highest = max(self._highest, file.number)
            self.bloom_filters.add_filter(file.number, self._capacity)
        for number, uuids in added.items():
            self.bloom_filters.add_ids(number, [pack_id(uuid) for uuid in uuids])
        if new:
            self._seal()
        self.close_idle()

    def _seal(self) -> None:
        """Seal segments that accept no more tasks."""
        for number, file in self._open.items():
            if file.sealed or number == self.active_number:
                continue
            try:
                file.seal(self.bloom_filters.to_bytes(number))
            except (*DISK_FULL_ERRORS, apsw.BusyError) as error:
                # the filter is built from the rows when needed
                log.warning("Cannot seal segment %d: %s", number, error)

    # --- maintenance

    def maintain(self, quiet: float = MAINTENANCE_DELAY) -> bool:
        """One step of maintenance, for a segment that has not changed for `quiet` seconds. Return False if there is
        none."""
        latest_change = time.monotonic() - quiet
        for number, changed in list(self.pending_maintenance.items()):
            if changed > latest_change:
                continue
            del self.pending_maintenance[number]
            if self.catalog.by_number(number) is None:
                continue
            file = self.segment(number)
            if not file.columns.is_valid:
                if file.rebuild_columns():
                    self.pending_maintenance[number] = changed
            elif number != self.active_number and not file.columns.is_sorted:
                file.sort_columns()
            self.close_idle()
            return True
        return False

    # --- rollback of failed writes

    def defer_catalog_update(self, entry: SegmentInfo) -> None:
        """A segment has changed, but meta.db could not be updated: the next write does it."""
        self._deferred_entries[entry.number] = entry
        self.catalog = Catalog({**{known.number: known for known in self.catalog}, entry.number: entry}.values())

    def defer_rollback(self, number: int, before: SegmentInfo, changes: list[TaskChange]) -> None:
        """Roll back the committed changes of a segment later."""
        self._deferred_rollbacks[number] = (before, changes)

    def finish_deferred(self) -> None:
        """Roll back the rest of a failed write. Raises the errors of writing."""
        for number, (before, changes) in list(self._deferred_rollbacks.items()):
            file = self.segment(number)
            # with a new sequence number, because a reader may have counted in between
            file.revert(before, changes, self.meta.sequence + 1)
            del self._deferred_rollbacks[number]
            self.defer_catalog_update(file.info)

    def try_finish_deferred(self) -> None:
        try:
            self.finish_deferred()
        except (*DISK_FULL_ERRORS, apsw.Error, DamagedFile, FlowerError) as error:
            log.warning("Rollback of a failed write deferred: %s", error)

    # --- removal

    def delete_segments(self, numbers: Iterable[int]) -> None:
        """Delete the files of segments that are not in the catalog anymore."""
        for number in numbers:
            self._delete_file(number)

    def quarantine(self, damage: DamagedFile) -> None:
        """Quarantine a damaged file; the store continues with the others."""
        if damage.number is None:
            self.meta.connection.close()
            self.directory.quarantine(self.directory.meta_path, damage.reason)
            sequence = max([self.meta.sequence, *(entry.sequence for entry in self.catalog)])
            self.meta = self._open_meta()
            self.commit_meta(sequence + 1, list(self.catalog), complete=False)
            return
        self._close_file(damage.number)
        self.bloom_filters.remove_filter(damage.number)
        self._deferred_rollbacks.pop(damage.number, None)
        if self.directory.segment_path(damage.number).exists():
            self.directory.quarantine(self.directory.segment_path(damage.number), damage.reason)
        self._delete_columns(damage.number)
        self.commit_meta(self.meta.sequence + 1, (), drop=[damage.number], complete=False)
