"""All segments, writer side: opening of the store, catalog updates, maintenance, deferred rollbacks, and quarantine of
damaged files."""

import logging
import time
from collections.abc import Iterable, Sequence

import apsw
import msgspec

from flower.errors import FlowerError
from flower.records import Gap, Task, Worker
from flower.store.protocols import Batch, TaskChange
from flower.store.sqlite.catalog import Catalog, SegmentInfo
from flower.store.sqlite.connection import (
    CLOSED_CACHE_KB,
    CLOSED_CHECKPOINT,
    DISK_FULL_ERRORS,
    create_database,
    is_damage,
    open_for_writing,
)
from flower.store.sqlite.damage import DamageReports
from flower.store.sqlite.directory import DAMAGED_DIRECTORY, StoreDirectory
from flower.store.sqlite.meta_db import MetaWriter, read_segments
from flower.store.sqlite.meta_update import MetaUpdate
from flower.store.sqlite.migration import META_MIGRATIONS, migrate_file
from flower.store.sqlite.migration_progress import MigrationProgress
from flower.store.sqlite.salvage import salvage_segment
from flower.store.sqlite.schema import META_SCHEMA
from flower.store.sqlite.segment import DamagedFile, SegmentFile, verify_integrity
from flower.store.sqlite.segment_compressor import SegmentCompressor
from flower.store.sqlite.segment_files import SegmentFiles
from flower.store.sqlite.segment_inventory import take_inventory
from flower.store.sqlite.store_format import APPLICATION_ID, STORE_FORMAT

log = logging.getLogger(__name__)

#: Seconds of a maintenance step that converts rows to the present format.
_MIGRATION_STEP = 0.2

#: Seconds after its last change before a full segment is maintained: late events of its last tasks still arrive.
MAINTENANCE_DELAY = 10.0


class SegmentSet:
    """Created when the store is opened for writing. Raises StoreFull, or apsw errors of the same meaning."""

    def __init__(self, directory: StoreDirectory, capacity: int) -> None:
        self.directory = directory
        self._capacity = capacity
        self.files = SegmentFiles(directory, capacity)
        self._deferred_rollbacks: dict[int, tuple[SegmentInfo, list[TaskChange]]] = {}
        self._deferred_entries: dict[int, SegmentInfo] = {}
        self._highest = 0
        self.next_key = 1
        #: segments whose columns must be rebuilt or sorted, and the time of their last change
        self.pending_maintenance: dict[int, float] = {}
        self.catalog = Catalog()
        self.migration = MigrationProgress()
        self._compressor = SegmentCompressor(directory, self.files)
        self.reports = DamageReports(directory)
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
                create_database(self.directory.meta_path, META_SCHEMA, APPLICATION_ID, STORE_FORMAT)
            try:
                connection = open_for_writing(
                    self.directory.meta_path, cache_kb=CLOSED_CACHE_KB, checkpoint=CLOSED_CHECKPOINT
                )
                try:
                    migrate_file(connection, META_MIGRATIONS)
                    read_segments(connection)
                    return MetaWriter(connection, self.directory.meta_path)
                except BaseException:
                    connection.close()
                    raise
            except (apsw.Error, ValueError, msgspec.MsgspecError) as error:
                if isinstance(error, apsw.Error) and not (is_damage(error) or isinstance(error, apsw.SQLError)):
                    raise
                self._quarantine_meta(error)
        raise AssertionError("a new meta.db cannot be damaged")

    def _open_segments(self) -> None:
        """Read the metadata of each segment, quarantine unreadable files, and complete the last write if it was
        interrupted between the segments and meta.db."""
        known = {entry.number: entry for entry in read_segments(self.meta.connection)}
        numbers = self.directory.segment_numbers()
        self._highest = max([0, *known, *numbers, *self._quarantined_numbers()])
        inventory = take_inventory(self.files, numbers, self.meta.sequence)
        self.pending_maintenance.update(dict.fromkeys(inventory.unmaintained, 0.0))
        for number in inventory.plain:
            self._compressor.schedule(number)
        opened = inventory.entries
        sequence = max([self.meta.sequence, *(entry.sequence for entry in opened.values())]) + 1
        for number, reason in inventory.damaged.items():
            entry = self._replace_damaged(number, reason, known.get(number), sequence, active=number == numbers[-1])
            if entry is not None:
                opened[number] = entry
        moved = self._finish_moves(opened)
        for number in moved:
            del opened[number]
        self._report_losses(known, opened, {*numbers, *moved})
        self.catalog = Catalog(opened.values())
        self.migration.begin(self.meta.connection, inventory.outdated & opened.keys())
        self.files.seal(self.active_number)
        self.close_idle()
        self.next_key = max((entry.next for entry in (*opened.values(), *known.values())), default=1)
        if opened != known:
            self._store_opened(known, opened, inventory.interrupted)

    def _store_opened(
        self, known: dict[int, SegmentInfo], opened: dict[int, SegmentInfo], interrupted: MetaUpdate | None
    ) -> None:
        """Store the catalog that differs from that of meta.db, and the rest of the interrupted write."""
        newest = max([self.meta.sequence, *(entry.sequence for entry in opened.values())])
        self.commit_meta(
            newest + 1,
            list(opened.values()),
            drop=[number for number in known if number not in opened],
            complete=False,
            workers=interrupted.workers if interrupted else (),
            gaps=interrupted.gaps if interrupted else (),
            batch=interrupted.batch if interrupted else None,
        )

    def _report_losses(self, known: dict[int, SegmentInfo], opened: dict[int, SegmentInfo], present: set[int]) -> None:
        """Report segments without a file, and those that lost writes that meta.db contains."""
        if max((entry.sequence for entry in opened.values()), default=0) > self.meta.sequence:
            return  # meta.db lost its last writes, so retention may have removed the segments
        for number, entry in known.items():
            file = self.directory.segment_path(number).name
            if number not in present:
                self.reports.resolve(file, "the file is missing", entry, "its tasks are lost", lost=entry.rows)
            elif number in opened and opened[number].sequence < entry.sequence:
                lost = max(0, entry.rows - opened[number].rows)
                outcome = f"{lost:,} tasks, and the last changes of others, are lost"
                self.reports.resolve(file, "the last writes are missing", entry, outcome, lost=lost)

    def _replace_damaged(
        self, number: int, reason: object, entry: SegmentInfo | None, sequence: int, *, active: bool
    ) -> SegmentInfo | None:
        """Move a damaged segment away, and replace it by a file with the rows that can be read, as of this number of
        the change sequence. Return the new entry; None if no row can be read."""
        self._compressor.forget(number)
        self.files.close(number)
        self.files.bloom_filters.remove_filter(number)
        path = self.directory.segment_path(number)
        salvaged: SegmentInfo | None = None
        lost = None if entry is None else entry.rows
        if path.exists():
            replacement = path.with_name(f"{path.name}.salvaged.new")
            salvaged = salvage_segment(path, replacement, entry, sequence)
            name = self.directory.quarantine(path, replacement if salvaged else None)
            outcome = f"moved to {DAMAGED_DIRECTORY}/{name}"
        else:
            outcome = "its tasks are lost"
        if salvaged is not None:
            lost = max(0, lost - salvaged.rows) if lost is not None else None
            outcome += f"; recovered {salvaged.rows:,} tasks" + ("" if lost is None else f", {lost:,} are lost")
        self.reports.resolve(path.name, reason, entry or SegmentInfo(number, 0, 0, 0), outcome, lost=lost)
        self._delete_columns(number)
        if salvaged is None:
            return None
        file = self.files.open(number, active=active)
        file.load_bloom_filter(self.files.bloom_filters)
        file.rebuild_columns()
        return file.info

    def _quarantine_meta(self, reason: object) -> None:
        name = self.directory.quarantine(self.directory.meta_path)
        outcome = f"moved to {DAMAGED_DIRECTORY}/{name}, and rebuilt from the segments without workers and gaps"
        self.reports.resolve(self.directory.meta_path.name, reason, None, outcome)

    def _quarantined_numbers(self) -> list[int]:
        digits = [name[4:10] for name in self.directory.quarantined_files() if name.startswith("seg-")]
        return [int(number) for number in digits if number.isdigit()]

    def _finish_moves(self, opened: dict[int, SegmentInfo]) -> list[int]:
        """Delete segments whose rows were moved, but whose files were not deleted before the process was killed."""
        moved = [number for entry in opened.values() if (number := entry.moved_from) is not None and number in opened]
        self.delete_segments(moved)
        return moved

    # --- segments

    @property
    def active_number(self) -> int | None:
        """The segment that new tasks are inserted into."""
        return self.catalog.segments[-1].number if len(self.catalog) else None

    def segment(self, number: int) -> SegmentFile:
        """The segment, in the present format."""
        file = self._open_any_format(number)
        file.migrate()
        return file

    def _open_any_format(self, number: int) -> SegmentFile:
        return self.files.find(number) or self.files.open(number, active=number == self.active_number)

    def close_idle(self) -> None:
        """Close the least recently used files. Only between transactions."""
        self.files.close_idle(self.active_number)

    def make_segment(self, first: int, *, ahead: int) -> SegmentFile:
        return self.files.create(self._highest + 1 + ahead, first)

    def close(self) -> None:
        self._compressor.close()
        self.files.close_all()
        # last, as in every write: meta.db refers only to rows that are in the files
        self.meta.close()

    # --- commit

    def commit_meta(
        self,
        sequence: int,
        entries: Sequence[SegmentInfo],
        *,
        ids: Sequence[bytes | str] = (),
        workers: Sequence[Worker] = (),
        gaps: Sequence[Gap] = (),
        drop: Sequence[int] = (),
        parked: Sequence[Task] | None = None,
        batch: Batch | None = None,
        complete: bool = True,
    ) -> None:
        """`ids`: packed ids of the changed tasks; `batch`: new counters and marks."""
        meta = self.meta
        try:
            meta.size_guard.verify()
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
                meta.log_batch(sequence, ids, complete=complete)
        except BaseException as error:
            if is_damage(error):
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
        self, next_key: int, new: Sequence[SegmentFile], added: dict[int, list[bytes | str]], touched: Iterable[int]
    ) -> None:
        """Called when a write is on disk: add the new ids to the Bloom filters, and seal full segments."""
        self.next_key = next_key
        now = time.monotonic()
        for number in touched:
            if number != self.active_number or new:
                self.pending_maintenance[number] = now
                self._compressor.record_change(number)
        for file in new:
            self._highest = max(self._highest, file.number)
            self.files.bloom_filters.add_filter(file.number, self._capacity)
        for number, ids in added.items():
            self.files.bloom_filters.add_ids(number, ids)
        if new:
            self.files.seal(self.active_number)
        self.close_idle()

    # --- maintenance

    def maintain(self, quiet: float | None = None) -> bool:
        """One step of maintenance, for a segment that has not changed for `quiet` seconds (None: MAINTENANCE_DELAY).
        Return False if there is none."""
        latest_change = time.monotonic() - (MAINTENANCE_DELAY if quiet is None else quiet)
        for number, changed in list(self.pending_maintenance.items()):
            if changed > latest_change:
                continue
            del self.pending_maintenance[number]
            if self.catalog.by_number(number) is None:
                continue
            file = self._open_any_format(number)
            if not file.is_migrated:
                if self._try_migration(file):
                    self.pending_maintenance[number] = changed
                return True
            if not file.columns.is_valid:
                if file.rebuild_columns():
                    self.pending_maintenance[number] = changed
                    self._publish_bounds(file.info)
            elif number != self.active_number and not file.columns.is_sorted:
                file.sort_columns()
            if file.columns.is_valid:
                self.migration.finish(self.meta.connection, number)
            self.close_idle()
            return True
        self.migration.retain(self.meta.connection, {entry.number for entry in self.catalog})
        return self._compress(at_once=quiet == 0)

    def _compress(self, *, at_once: bool) -> bool:
        """One step of the compression of segments that need no other maintenance."""
        has_more = self._compressor.step(self._open_any_format, self.active_number, at_once=at_once)
        self.close_idle()
        return has_more

    def _try_migration(self, file: SegmentFile) -> bool:
        """Return False if the segment cannot be converted: it stays in its format until the next start, and the others
        are converted."""
        try:
            _migrate_for_one_step(file)
        except (DamagedFile, *DISK_FULL_ERRORS, apsw.BusyError):
            raise
        except Exception as error:  # whatever a conversion raises: it must not end the recorder
            log.exception("Cannot convert segment %d", file.number)
            reason = f"{self.directory.segment_path(file.number).name}: {type(error).__name__}: {error}"
            self.migration.fail(self.meta.connection, file.number, reason)
            return False
        return True

    def _publish_bounds(self, entry: SegmentInfo) -> None:
        """Store better bounds of a segment, whose rows are the same, in the catalog."""
        known = {segment.number: segment for segment in self.catalog}
        if known.get(entry.number) != entry:
            with self.meta.connection:
                self.meta.put_segments([entry])
            self.catalog = Catalog({**known, entry.number: entry}.values())

    def rebuild_columns_later(self, number: int) -> None:
        """Discard the columns of a segment. Maintenance rebuilds them."""
        self.files.close(number)
        self._delete_columns(number)
        self.pending_maintenance[number] = 0.0

    # --- verification of files in use

    def verify_meta(self) -> None:
        """Raises DamagedFile. meta.db is opened again, because the file may have been removed."""
        verify_integrity(self.meta.connection, None)
        self.meta.close()
        self._reopen_meta()

    def verify_segment(self, number: int) -> None:
        """Raises DamagedFile."""
        if not self.directory.segment_path(number).exists():
            raise DamagedFile(number, "the file is missing")
        self.segment(number).verify_integrity()
        # opened again: if its log was deleted or damaged while it was in use, other processes do not see the last
        # writes, and this one sees them only in its cache
        self.files.close(number)
        self.segment(number).verify_integrity()

    def _reopen_meta(self) -> None:
        """Open meta.db again; if it is a new one, write the catalog to it."""
        sequence = max([self.meta.sequence, *(entry.sequence for entry in self.catalog)])
        self.meta = self._open_meta()
        if self.meta.sequence < sequence:
            self.commit_meta(sequence + 1, list(self.catalog), complete=False)

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
            self.pending_maintenance.pop(number, None)
            self._compressor.forget(number)
            self.files.delete(number)

    def _delete_columns(self, number: int) -> None:
        self.pending_maintenance.pop(number, None)
        self.files.delete_columns(number)

    def quarantine(self, damage: DamagedFile) -> None:
        """Quarantine a damaged file; the store continues with the others."""
        if damage.number is None:
            self.meta.connection.close()
            self._quarantine_meta(damage.reason)
            self._reopen_meta()
            return
        self._deferred_rollbacks.pop(damage.number, None)
        self._deferred_entries.pop(damage.number, None)
        sequence, known = self.meta.sequence + 1, self.catalog.by_number(damage.number)
        active = damage.number == self.active_number
        entry = self._replace_damaged(damage.number, damage.reason, known, sequence, active=active)
        if entry is None:
            self.commit_meta(sequence, (), drop=[damage.number], complete=False)
        else:
            self.commit_meta(sequence, [entry], complete=False)
        self.files.seal(self.active_number)


def _migrate_for_one_step(file: SegmentFile) -> None:
    """Convert rows for _MIGRATION_STEP seconds."""
    deadline = time.monotonic() + _MIGRATION_STEP
    file.migrate_step()
    while not file.is_migrated and time.monotonic() < deadline:
        file.migrate_step()
