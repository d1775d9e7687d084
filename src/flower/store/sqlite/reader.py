"""The port's Reader on a directory of segments. Follows whatever a writer in any process does there, and
may be opened before one has made the store."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from flower.errors import WaitedTooLong
from flower.records import Gap, Task, Worker
from flower.search.tree import EVERYTHING, Node
from flower.store import cursor as cursors
from flower.store.answers import (
    Count,
    Facet,
    Facets,
    Failures,
    Family,
    Histogram,
    Page,
    Seen,
    Span,
    Summaries,
    WorkerMoment,
    Workflow,
    Workflows,
)
from flower.store.cursor import Position
from flower.store.grouping import checked_facets, checked_span
from flower.store.order import check_sort, position
from flower.store.port import Changes, Query, Sort, StoreStatus
from flower.store.sqlite import meta
from flower.store.sqlite.catalogue import Catalogue, Segment
from flower.store.sqlite.codec import pack_id
from flower.store.sqlite.folder import Folder
from flower.store.sqlite.pool import Deadline, Pool, SegmentGone
from flower.store.sqlite.probe import may_hold, mixed
from flower.store.sqlite.query import failing, figures, walk
from flower.store.sqlite.query.exact import count
from flower.store.sqlite.query.failing import Naming
from flower.store.sqlite.query.flight import in_flight
from flower.store.sqlite.query.mapped import Mapped
from flower.store.sqlite.query.memory import Memory
from flower.store.sqlite.query.place import place
from flower.store.sqlite.query.question import Means, Question
from flower.store.sqlite.query.related import Kin, Relations
from flower.store.sqlite.query.seen import failures_seen
from flower.store.sqlite.query.shelf import Shelf
from flower.store.sqlite.query.slowness import slow
from flower.store.sqlite.query.wording import Wording
from flower.store.sqlite.query.workflows import Named, workflows
from flower.store.sqlite.schema import SELECT
from flower.store.sqlite.tallies import read_tallies
from flower.store.sqlite.text import TextReader
from flower.store.sqlite.view import View
from flower.store.sqlite.where import check
from flower.tallies import InFlight, Living, Tallies

#: Rows fetched together. More would cost memory where texts are long, fewer would cost time.
_ROWS: Final = 500
_EVERY_NAME: Final = 10**9


class SqliteReader:
    def __init__(self, folder: Folder, *, time_limit: float | None = None) -> None:
        """`time_limit`: seconds that anyone may wait for an answer, or for the next part of one. Raises NotAStore
        and WrongVersion."""
        folder.check()
        self._folder = folder
        self._time_limit = time_limit
        self._pool = Pool(folder)
        self._shelf = Shelf(folder, self._pool)
        self._kin = Kin()
        self._named = Named()
        self._view = View(folder, self._pool, self._shelf, self._kin)
        self._text = TextReader(folder.text)
        mapped = Mapped(self._shelf.let_go, self._text.close)
        self._means = Means(self._pool, self._shelf, Memory(), mapped, self.slow)
        self._filters: dict[int, bytes] = {}

    # --- one task

    def task(self, uuid: str) -> Task | None:
        deadline = Deadline(self._time_limit)
        catalogue = self._view.catalogue()
        found = self._find(uuid, catalogue, deadline)
        return None if found is None else found[1]

    def _find(self, uuid: str, catalogue: Catalogue, deadline: Deadline) -> tuple[int, Task] | None:
        packed = pack_id(uuid)
        hashed = mixed(packed)
        if len(self._filters) > len(catalogue):
            self._filters = {e.number: self._filters[e.number] for e in catalogue if e.number in self._filters}
        for entry in reversed(catalogue.segments):
            if entry.number != catalogue.segments[-1].number and not self._may_hold(entry, hashed, deadline):
                continue
            try:
                with self._pool.borrow(entry, deadline) as segment:
                    # not one that is on the disk and not yet announced: it would be found here and counted nowhere
                    rows = segment.rows(f"{SELECT} WHERE uuid=? AND id<?", (packed, entry.next))
                    if rows:
                        return rows[0][0], segment.task(rows[0])
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

    # --- many tasks

    def tasks(self, query: Query, *, limit: int | None = None, offset: int = 0) -> Iterator[Task]:
        check(query.where)
        check_sort(query.sort)
        if limit is not None and limit <= 0:
            return iter(())
        return self._tasks(query, limit, max(0, offset))

    def _tasks(self, query: Query, limit: int | None, offset: int) -> Iterator[Task]:
        question, catalogue = self._ask(query.where)
        wanted = _ROWS if limit is None else limit
        after, skip = place(question, catalogue.segments, query.sort, offset)
        ids = walk.ids(question, catalogue.segments, query.sort, after, min(wanted, _ROWS) + min(skip, _ROWS))
        rest = islice(ids, skip, None if limit is None else skip + limit)
        size = min(wanted, 100)
        while part := list(islice(rest, size)):
            for _, task in self._by_ids(catalogue, part, question.deadline):
                yield task
            question.deadline.extend()
            size = _ROWS

    def page(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        check(query.where)
        check_sort(query.sort)
        after = None if cursor is None else cursors.decode(query, cursor)
        if limit <= 0:
            return Page(())
        question, catalogue = self._ask(query.where)
        ids, reason = self._ids_until(question, catalogue, query.sort, after, limit + 1)
        found = list(self._by_ids(catalogue, ids[:limit], Deadline(self._time_limit)))
        more = None
        if found and (len(ids) > limit or reason is not None):
            more = cursors.encode(query, *position(found[-1], query.sort))
        return Page(tuple(task for _, task in found), more, reason)

    @staticmethod
    def _ids_until(
        question: Question, catalogue: Catalogue, sorts: Sequence[Sort], after: Position | None, most: int
    ) -> tuple[list[int], str | None]:
        """As many ids as are wanted and, if the time was over before, why there are no more."""
        ids: list[int] = []
        try:
            for found in walk.ids(question, catalogue.segments, sorts, after, most):
                ids.append(found)
                if len(ids) == most:
                    break
        except WaitedTooLong as error:
            return ids, figures.late(error)
        return ids, None

    def _by_ids(self, catalogue: Catalogue, ids: Sequence[int], deadline: Deadline) -> Iterator[tuple[int, Task]]:
        groups: dict[int, tuple[Segment, list[int]]] = {}
        for found in ids:
            entry = catalogue.holding(found)
            if entry is not None:
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
                yield found, tasks[found]

    # --- figures

    def count(self, where: Node = EVERYTHING) -> int:
        question, catalogue = self._ask(where)
        total = 0
        for entry in catalogue:
            try:
                total += count(question, entry, where)
            except SegmentGone:
                continue
        return total

    def counted(self, where: Node = EVERYTHING) -> Count:
        question, catalogue = self._ask(where)
        return figures.counted(question, catalogue.segments)

    def facets(self, where: Node, facets: Sequence[Facet], *, limit: int = 20, containing: str | None = None) -> Facets:
        wanted = checked_facets(facets)
        question, catalogue = self._ask(where)
        names = Naming(question, catalogue.segments)
        return figures.facets(question, catalogue.segments, wanted, names, limit=limit, containing=containing)

    def histogram(self, where: Node, span: Span) -> Histogram:
        question, catalogue = self._ask(where)
        return figures.histogram(question, catalogue.segments, checked_span(span))

    def summaries(self, where: Node, *, by: Facet | None = None, limit: int = 20) -> Summaries:
        if by is not None:
            checked_facets([by])
        question, catalogue = self._ask(where)
        return figures.summaries(question, catalogue.segments, by, Naming(question, catalogue.segments), limit=limit)

    def timeline(self, where: Node, span: Span) -> Summaries:
        question, catalogue = self._ask(where)
        return figures.timeline(question, catalogue.segments, checked_span(span))

    def failures(self, where: Node, *, limit: int = 20, span: Span | None = None) -> Failures:
        question, catalogue = self._ask(where)
        span = None if span is None else checked_span(span)
        return failing.failures(question, catalogue.segments, limit=limit, span=span)

    def failures_seen(self, failures: Collection[str] | None = None) -> Mapping[str, Seen]:
        question, catalogue = self._ask(EVERYTHING)
        return failures_seen(question, catalogue.segments, failures)

    def slow(self) -> Mapping[str, float]:
        question, catalogue = self._ask(EVERYTHING)
        return slow(question, catalogue.segments)

    def names(self) -> Sequence[str]:
        found = self.facets(EVERYTHING, ["name"], limit=_EVERY_NAME).facets["name"]
        return sorted(value.value for value in found.values if value.value is not None)

    # --- relations

    def family(self, uuid: str, *, limit: int = 1_000) -> Family | None:
        question, catalogue = self._ask(EVERYTHING)
        found = self._find(uuid, catalogue, question.deadline)
        if found is None:
            return None
        root = uuid if found[1].root_id is None else found[1].root_id
        ids = Relations(question, catalogue.segments, self._kin).of_root(root)
        keys = sorted({*ids, found[0]} if root in (found[1].root_id, uuid) else ids)
        if root != uuid and (first := self._find(root, catalogue, question.deadline)) is not None:
            keys = sorted({*keys, first[0]})
        shown = keys[: max(0, limit)]
        tasks = tuple(
            task for _, task in self._by_ids(catalogue, shown, question.deadline) if root in (task.root_id, task.uuid)
        )
        return Family(root, tasks, len(keys) <= max(0, limit))

    def children(self, uuids: Iterable[str]) -> Mapping[str, Sequence[str]]:
        question, catalogue = self._ask(EVERYTHING)
        return Relations(question, catalogue.segments, self._kin).children(list(dict.fromkeys(uuids)))

    def workflows(self, where: Node = EVERYTHING, *, limit: int = 50, cursor: str | None = None) -> Workflows:
        query = Query(where, ())
        before = None if cursor is None else cursors.decode(query, cursor).key
        if limit <= 0:
            return Workflows(())
        question, catalogue = self._ask(where)
        relations = Relations(question, catalogue.segments, self._kin)
        found, reason = workflows(question, catalogue.segments, self._named, relations, before=before, want=limit + 1)
        shown = found[:limit]
        more = cursors.encode(query, (), shown[-1].key) if shown and (len(found) > limit or reason) else None
        roots = dict(self._by_ids(catalogue, [each.key for each in shown], Deadline(self._time_limit)))
        return Workflows(
            tuple(
                Workflow(roots[w.key], w.tasks, w.ended, w.failed, w.running, w.started, w.last)
                for w in shown
                if w.key in roots
            ),
            more,
            reason,
        )

    # --- what meta.db knows

    def workers(self) -> Mapping[str, Worker]:
        return self._view.ask(meta.read_workers, {})

    def worker_history(self, hostname: str | None = None, *, limit: int = 1_000) -> Sequence[WorkerMoment]:
        return self._view.ask(lambda db: meta.read_worker_history(db, hostname, limit), [])

    def tallies(self, after: int = 0) -> Tallies:
        return self._view.ask(lambda db: read_tallies(db, after), Tallies(0, (), whole=True))

    def in_flight(self, living: Living) -> Sequence[InFlight]:
        question, catalogue = self._ask(EVERYTHING)
        return in_flight(question, catalogue.segments, living)

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
            free=self._folder.free(),
        )

    def recorder_status(self) -> dict[str, Any]:
        return self._folder.read_status()

    def close(self) -> None:
        self._view.close()
        self._pool.close()
        self._shelf.close()
        self._text.close()

    def _ask(self, where: Node) -> tuple[Question, Catalogue]:
        check(where)
        catalogue = self._view.catalogue()
        return Question(where, self._means, Deadline(self._time_limit), Wording(self._text)), catalogue
