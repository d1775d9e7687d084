"""The port's Reader on a directory of segments. Follows whatever a writer in any process does there, and
may be opened before one has made the store."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from flower.errors import Invalid
from flower.records import Gap, Task, Worker
from flower.search.tree import EVERYTHING, Node
from flower.store.port import SORT_KEYS, Changes, Query, StoreStatus
from flower.store.sqlite import meta
from flower.store.sqlite.catalogue import Catalogue, Segment
from flower.store.sqlite.codec import pack_id, unpack_id
from flower.store.sqlite.folder import Folder
from flower.store.sqlite.merge import sorted_ids
from flower.store.sqlite.order import Search
from flower.store.sqlite.pool import Deadline, Pool, SegmentGone
from flower.store.sqlite.probe import may_hold, mixed
from flower.store.sqlite.rank import Counter, Memory
from flower.store.sqlite.schema import SELECT
from flower.store.sqlite.view import View
from flower.store.sqlite.where import check

#: Rows fetched together. More would cost memory where texts are long, fewer would cost time.
_ROWS: Final = 500
_IDS: Final = 500


class SqliteReader:
    def __init__(self, folder: Folder, *, time_limit: float | None = None) -> None:
        """`time_limit`: seconds that anyone may wait for an answer, or for the next part of one. Raises NotAStore
        and WrongVersion."""
        folder.check()
        self._folder = folder
        self._time_limit = time_limit
        self._pool = Pool(folder)
        self._view = View(folder, self._pool)
        self._memory = Memory()
        self._filters: dict[int, bytes] = {}

    def task(self, uuid: str) -> Task | None:
        packed = pack_id(uuid)
        hashed = mixed(packed)
        deadline = Deadline(self._time_limit)
        catalogue = self._view.catalogue()
        if len(self._filters) > len(catalogue):
            self._filters = {e.number: self._filters[e.number] for e in catalogue if e.number in self._filters}
        for entry in reversed(catalogue.segments):
            if entry.number != catalogue.segments[-1].number and not self._may_hold(entry, hashed, deadline):
                continue
            try:
                with self._pool.borrow(entry, deadline) as segment:
                    rows = segment.rows(f"{SELECT} WHERE uuid=?", (packed,))
                    if rows:
                        return segment.task(rows[0])
            except SegmentGone:
                continue
        return None

    def _may_hold(self, entry: Segment, hashed: int, deadline: Deadline) -> bool:
        content = self._filters.get(entry.number)
        if content is None:
            try:
                with self._pool.borrow(entry, deadline) as segment:
                    content = segment.filter(entry.capacity)
            except SegmentGone:
                return False
            if content is None:
                return True
            self._filters[entry.number] = content
        return may_hold(content, hashed)

    def tasks(self, query: Query, *, limit: int | None = None, offset: int = 0) -> Iterator[Task]:
        check(query.where)
        unknown = [sort.key for sort in query.sort if sort.key not in SORT_KEYS]
        if unknown:
            raise Invalid(f"Tasks cannot be sorted by '{unknown[0]}'", hint=f"there are {', '.join(SORT_KEYS)}")
        if limit is not None and limit <= 0:
            return iter(())
        return self._tasks(query, limit, max(0, offset))

    def _tasks(self, query: Query, limit: int | None, offset: int) -> Iterator[Task]:
        deadline = Deadline(self._time_limit)
        catalogue = self._view.catalogue()
        wanted = _ROWS if limit is None else limit
        search = Search(query.where, self._pool, deadline, min(wanted, _ROWS) + (_ROWS if offset else 0))
        counter = Counter(search, self._memory)
        ids = islice(sorted_ids(counter, catalogue.segments, query.sort, offset), limit)
        size = min(wanted, 100)
        while page := list(islice(ids, size)):
            yield from self._by_ids(catalogue, page, deadline)
            deadline.extend()
            size = _ROWS

    def _by_ids(self, catalogue: Catalogue, ids: Sequence[int], deadline: Deadline) -> Iterator[Task]:
        groups: dict[int, tuple[Segment, list[int]]] = {}
        for found in ids:
            entry = catalogue.holding(found) or self._last(catalogue)
            groups.setdefault(entry.number, (entry, []))[1].append(found)
        tasks: dict[int, Task] = {}
        for entry, group in groups.values():
            listed = ",".join(map(str, group))
            try:
                with self._pool.borrow(entry, deadline) as segment:
                    for row in segment.rows(f"{SELECT} WHERE id IN ({listed})"):
                        tasks[row[0]] = segment.task(row)
            except SegmentGone:
                continue
        for found in ids:
            if found in tasks:
                yield tasks[found]

    @staticmethod
    def _last(catalogue: Catalogue) -> Segment:
        """Rows written since the catalogue was read are in the newest segment of it."""
        return catalogue.segments[-1]

    def count(self, where: Node = EVERYTHING) -> int:
        check(where)
        search = Search(where, self._pool, Deadline(self._time_limit))
        counter = Counter(search, self._memory)
        return sum(counter.count(entry) for entry in self._view.catalogue())

    def children(self, uuids: Iterable[str]) -> Mapping[str, Sequence[str]]:
        packed = [pack_id(uuid) for uuid in dict.fromkeys(uuids)]
        deadline = Deadline(self._time_limit)
        found: dict[str, list[str]] = {}
        for entry in self._view.catalogue():
            if not entry.parented:
                continue
            for place in range(0, len(packed), _IDS):
                part = packed[place : place + _IDS]
                sql = (
                    "SELECT parent_id, uuid FROM task INDEXED BY task_parent_id WHERE parent_id IS NOT NULL"
                    f" AND parent_id IN ({','.join('?' * len(part))}) ORDER BY id"
                )
                try:
                    with self._pool.borrow(entry, deadline) as segment:
                        rows = segment.rows(sql, part)
                except SegmentGone:
                    break
                for parent, child in rows:
                    found.setdefault(unpack_id(parent), []).append(unpack_id(child))
        return found

    def names(self) -> Sequence[str]:
        deadline = Deadline(self._time_limit)
        names: set[str] = set()
        for entry in self._view.catalogue():
            names |= self._names_of(entry, deadline)
        return sorted(names)

    def _names_of(self, entry: Segment, deadline: Deadline) -> frozenset[str]:
        question = (entry.number, entry.sequence, "names")
        known: frozenset[str] | None = self._memory.get(question)
        if known is None:
            sql = (
                "SELECT value FROM word WHERE kind = 'name'"
                " AND EXISTS (SELECT 1 FROM task INDEXED BY task_name WHERE task.name = word.id)"
            )
            try:
                with self._pool.borrow(entry, deadline) as segment:
                    known = frozenset(value for (value,) in segment.rows(sql))
            except SegmentGone:
                return frozenset()
            self._memory.put(question, known)
        return known

    def workers(self) -> Mapping[str, Worker]:
        return self._view.ask(meta.read_workers, {})

    def gaps(self) -> Sequence[Gap]:
        return self._view.ask(meta.read_gaps, ())

    def changes(self, after: int) -> Changes:
        return self._view.ask(lambda db: meta.read_changes(db, after), Changes(0, (), complete=after == 0))

    def status(self) -> StoreStatus:
        catalogue = self._view.catalogue()
        damaged = {*self._folder.damaged(), *(self._folder.segment(number).name for number in self._pool.damaged)}
        return StoreStatus(
            sequence=self._view.ask(meta.read_sequence, 0),
            tasks=catalogue.rows,
            bytes=self._folder.bytes(),
            segments=len(catalogue),
            damaged=tuple(sorted(damaged)),
        )

    def recorder_status(self) -> dict[str, Any]:
        return self._folder.read_status()

    def close(self) -> None:
        self._view.close()
        self._pool.close()
