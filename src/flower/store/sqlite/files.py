"""The writer's files: which there are, which are open, what they say of themselves, and what becomes of
those that are damaged."""

import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import apsw

from flower.errors import FlowerError
from flower.records import Gap, Task, Worker
from flower.store.port import Batch, Changed
from flower.store.sqlite.bloom import Filters
from flower.store.sqlite.catalogue import Catalogue, Segment
from flower.store.sqlite.codec import pack_id
from flower.store.sqlite.connection import (
    CLOSED_CACHE_KB,
    CLOSED_CHECKPOINT,
    DAMAGED,
    NO_ROOM,
    create,
    open_for_writing,
)
from flower.store.sqlite.folder import Folder
from flower.store.sqlite.meta import MetaWriter, read_segments
from flower.store.sqlite.schema import APPLICATION_ID, FORMAT, META
from flower.store.sqlite.segment import DamagedFile, SegmentFile

log = logging.getLogger(__name__)

#: Segments kept open. The filters let an id pass in error now and then, and opening a file for it would cost
#: fifty times as much as looking.
_OPEN_FILES = 64

#: Seconds after its last change in which a full segment is left alone: what belongs to its last tasks is still coming.
SETTLED = 10.0


class Files:
    """Made by opening the store for writing. Raises StoreFull, or apsw errors of the same meaning."""

    def __init__(self, folder: Folder, capacity: int) -> None:
        self.folder = folder
        self._capacity = capacity
        self._open: OrderedDict[int, SegmentFile] = OrderedDict()
        self.filters = Filters()
        self._undo: dict[int, tuple[Segment, list[Changed]]] = {}
        self._unannounced: dict[int, Segment] = {}
        self._highest = 0
        self.next_key = 1
        #: segments whose columns are to be made anew or put in order, and when they last changed
        self.upkeep: dict[int, float] = {}
        self.catalogue = Catalogue()
        folder.remove_leftovers()
        self.meta = self._open_meta()
        try:
            self._open_segments()
        except BaseException:
            self.close()
            raise

    # --- opening

    def _open_meta(self) -> MetaWriter:
        for _ in range(2):
            if not self.folder.meta.exists():
                create(self.folder.meta, META, APPLICATION_ID, FORMAT)
            try:
                connection = open_for_writing(self.folder.meta, cache_kb=CLOSED_CACHE_KB, checkpoint=CLOSED_CHECKPOINT)
                try:
                    read_segments(connection)
                    return MetaWriter(connection)
                except BaseException:
                    connection.close()
                    raise
            except (*DAMAGED, apsw.SQLError, ValueError) as error:
                self.folder.set_aside(self.folder.meta, error)
        raise AssertionError("a new meta.db cannot be damaged")

    def _open_segments(self) -> None:
        """Read what each segment says of itself, set aside those that cannot be read, and see whether the
        last write was cut off between segments and meta.db."""
        known = {entry.number: entry for entry in read_segments(self.meta.connection)}
        kept: dict[int, Segment] = {}
        numbers = self.folder.segment_numbers()
        self._highest = max([0, *known, *numbers, *self._set_aside_numbers()])
        for number in numbers:
            try:
                file = self._opened(number, receiving=number == numbers[-1])
                kept[number] = file.entry
                file.give_filter(self.filters)
                if number == numbers[-1] and not file.columns.kept:
                    file.rebuild_columns()
                elif not file.columns.ordered:
                    self.upkeep[number] = 0.0
                if file.sealed and number != numbers[-1]:
                    self._close_file(number)
            except DamagedFile as damage:
                kept.pop(number, None)
                self._close_file(number)
                self.filters.drop(number)
                self.folder.set_aside(self.folder.segment(number), damage.reason)
        for number in self._finish_moving(kept):
            del kept[number]
        self.catalogue = Catalogue(kept.values())
        self._seal()
        self.trim()
        self.next_key = max((entry.next for entry in (*kept.values(), *known.values())), default=1)
        if kept != known:
            newest = max([self.meta.sequence, *(entry.sequence for entry in kept.values())])
            gone = [number for number in known if number not in kept]
            self.commit_meta(newest + 1, list(kept.values()), drop=gone, complete=False)

    def _set_aside_numbers(self) -> list[int]:
        digits = [name[4:10] for name in self.folder.damaged() if name.startswith("seg-")]
        return [int(number) for number in digits if number.isdigit()]

    def _finish_moving(self, kept: dict[int, Segment]) -> list[int]:
        """A segment whose rows were moved on, but whose file was not yet removed when we were killed."""
        emptied = [entry.emptied for entry in kept.values() if entry.emptied in kept]
        for number in emptied:
            self._forget_file(number)
        return [number for number in emptied if number is not None]

    # --- open files

    @property
    def receiving(self) -> int | None:
        """The segment that new tasks go to."""
        return self.catalogue.segments[-1].number if len(self.catalogue) else None

    def segment(self, number: int) -> SegmentFile:
        file = self._open.get(number)
        if file is None:
            return self._opened(number, receiving=number == self.receiving)
        self._open.move_to_end(number)
        return file

    def _opened(self, number: int, *, receiving: bool) -> SegmentFile:
        file = SegmentFile(self.folder.segment(number), self.folder.columns(number), number, receiving=receiving)
        self._open[number] = file
        return file

    def trim(self) -> None:
        """Close what was not used lately. Between transactions only."""
        for number in list(self._open):
            if len(self._open) <= _OPEN_FILES:
                break
            if number != self.receiving:
                self._close_file(number)

    def make_segment(self, first: int, *, ahead: int) -> SegmentFile:
        number = self._highest + 1 + ahead
        file = SegmentFile.make(self.folder.segment(number), self.folder.columns(number), number, first, self._capacity)
        self._open[number] = file
        return file

    def unmake(self, file: SegmentFile) -> None:
        self._close_file(file.number)
        with contextlib.suppress(OSError):
            self.folder.remove(self.folder.segment(file.number))
            self.folder.columns(file.number).unlink(missing_ok=True)

    def roll_back(self, file: SegmentFile) -> None:
        try:
            file.rollback()
        except (apsw.Error, DamagedFile) as error:
            log.warning("Segment %d was closed, because a rollback failed: %s", file.number, error)
            self._close_file(file.number)

    def _close_file(self, number: int) -> None:
        file = self._open.pop(number, None)
        if file is not None:
            file.close()

    def _forget_file(self, number: int | None) -> None:
        if number is not None:
            self._close_file(number)
            self.filters.drop(number)
            self.folder.remove(self.folder.segment(number))
            self._forget_columns(number)

    def _forget_columns(self, number: int) -> None:
        self.upkeep.pop(number, None)
        self.folder.columns(number).unlink(missing_ok=True)

    def close(self) -> None:
        for number in list(self._open):
            self._close_file(number)
        self.meta.connection.close()

    # --- committing

    def commit_meta(
        self,
        sequence: int,
        entries: Sequence[Segment],
        *,
        uuids: Sequence[str] = (),
        workers: Sequence[Worker] = (),
        gaps: Sequence[Gap] = (),
        drop: Sequence[int] = (),
        held: Sequence[Task] | None = None,
        counted: Batch | None = None,
        complete: bool = True,
    ) -> None:
        """`counted`: what is new of tallies and marks."""
        meta = self.meta
        try:
            with meta.connection:
                meta.put_segments([*self._unannounced.values(), *entries])
                for number in drop:
                    meta.drop_segment(number)
                meta.put_workers(workers)
                meta.put_gaps(gaps)
                if held is not None:
                    meta.hold(held)
                if counted is not None:
                    meta.put_counted(sequence, counted)
                meta.announce(sequence, uuids, complete=complete)
        except BaseException as error:
            if isinstance(error, DAMAGED):
                raise DamagedFile(None, error) from error
            meta.reload()
            raise
        self._unannounced.clear()
        known = {entry.number: entry for entry in self.catalogue}
        known.update((entry.number, entry) for entry in entries)
        for number in drop:
            known.pop(number, None)
        self.catalogue = Catalogue(known.values())

    def committed(
        self, next_key: int, new: Sequence[SegmentFile], added: dict[int, list[str]], touched: Iterable[int]
    ) -> None:
        """All is on disk: take note of the ids, seal what is full."""
        self.next_key = next_key
        now = time.monotonic()
        for number in touched:
            if number != self.receiving or new:
                self.upkeep[number] = now
        for file in new:
            self._highest = max(self._highest, file.number)
            self.filters.put(file.number, self._capacity)
        for number, uuids in added.items():
            self.filters.add(number, [pack_id(uuid) for uuid in uuids])
        if new:
            self._seal()
        self.trim()

    def _seal(self) -> None:
        """Seal what takes no new tasks any more and is not sealed yet."""
        for number, file in self._open.items():
            if file.sealed or number == self.receiving:
                continue
            try:
                file.seal(self.filters.content(number))
            except (*NO_ROOM, apsw.BusyError) as error:
                # the filter is made from the rows again when it is needed
                log.warning("Segment %d could not be sealed now: %s", number, error)

    # --- keeping the columns

    def maintain(self, quiet: float = SETTLED) -> bool:
        """One piece of upkeep, of a segment that nothing has changed for so many seconds; False if there is none."""
        settled = time.monotonic() - quiet
        for number, changed in list(self.upkeep.items()):
            if changed > settled:
                continue
            del self.upkeep[number]
            if self.catalogue.numbered(number) is None:
                continue
            file = self.segment(number)
            if not file.columns.kept:
                if file.rebuild_columns():
                    self.upkeep[number] = changed
            elif number != self.receiving and not file.columns.ordered:
                file.order_columns()
            self.trim()
            return True
        return False

    # --- undoing

    def announce_later(self, entry: Segment) -> None:
        """A segment has changed, but meta.db could not be told: with the next write."""
        self._unannounced[entry.number] = entry
        self.catalogue = Catalogue({**{known.number: known for known in self.catalogue}, entry.number: entry}.values())

    def undo_later(self, number: int, before: Segment, changes: list[Changed]) -> None:
        self._undo[number] = (before, changes)

    def settle(self) -> None:
        """Undo what is left of a write that failed. Raises what writing raises."""
        for number, (before, changes) in list(self._undo.items()):
            file = self.segment(number)
            # under a number of its own: a reader may have counted in between
            file.restore(before, changes, self.meta.sequence + 1)
            del self._undo[number]
            self.announce_later(file.entry)

    def settle_quietly(self) -> None:
        try:
            self.settle()
        except (*NO_ROOM, apsw.Error, DamagedFile, FlowerError) as error:
            log.warning("A write that failed is undone later: %s", error)

    # --- leaving files

    def drop(self, numbers: Iterable[int]) -> None:
        """Remove the files of segments that the catalogue does not name any more."""
        for number in numbers:
            self._forget_file(number)

    def set_aside(self, damage: DamagedFile) -> None:
        """A file turned out to be damaged: it goes, the rest goes on."""
        if damage.number is None:
            self.meta.connection.close()
            self.folder.set_aside(self.folder.meta, damage.reason)
            sequence = max([self.meta.sequence, *(entry.sequence for entry in self.catalogue)])
            self.meta = self._open_meta()
            self.commit_meta(sequence + 1, list(self.catalogue), complete=False)
            return
        self._close_file(damage.number)
        self.filters.drop(damage.number)
        self._undo.pop(damage.number, None)
        if self.folder.segment(damage.number).exists():
            self.folder.set_aside(self.folder.segment(damage.number), damage.reason)
        self._forget_columns(damage.number)
        self.commit_meta(self.meta.sequence + 1, (), drop=[damage.number], complete=False)
