"""The routes as functions: a store and the parameters in, the answer out. They run in threads; what is wrong is
raised."""

import time
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, UnsetType

from flower.api import questions
from flower.api.asking import zone_of
from flower.api.completing import Suggestions
from flower.api.families import FamilyTree
from flower.api.figures import Stats
from flower.api.queue_rates import SILENCE
from flower.api.v1 import asked as ask
from flower.api.v1.answers import (
    Explanation,
    Name,
    NameList,
    RecorderState,
    SearchField,
    SearchNotice,
    StatusAnswer,
    StoreState,
    TaskList,
    TopTasks,
    WorkerDetail,
    WorkerHistory,
    WorkerList,
    WorkflowList,
    WorkflowRow,
    worker_row,
)
from flower.api.v1.rows import COLUMNS, TaskRow, rows
from flower.errors import Invalid, NoSuchTask, NotFound
from flower.search.fields import FIELDS
from flower.search.nearest import did_you_mean
from flower.search.syntax import parse, warnings
from flower.search.text import to_text
from flower.search.tree import Term
from flower.store.answers import Count, Facets, Histogram, Workflow
from flower.store.port import Reader

T = TypeVar("T")


def tasks(store: Reader, asked: ask.Tasks) -> TaskList:
    if asked.offset:
        return _slice(store, asked)
    page = questions.task_page(
        store, asked.query, sort=asked.sort, limit=asked.limit, cursor=asked.cursor or None, **asked.window()
    )
    following = _address(asked, cursor=page.cursor) if page.cursor else None
    return TaskList(rows(store, page.tasks, asked.columns, asked.text_limit), following, page.cursor, page.partial)


def _slice(store: Reader, asked: ask.Tasks) -> TaskList:
    if asked.cursor:
        raise Invalid("A page begins at a cursor or at an offset, not at both", hint="leave one of them out")
    # One more than asked for tells whether there is a next page.
    found = questions.task_slice(
        store, asked.query, sort=asked.sort, limit=asked.limit + 1, offset=asked.offset, **asked.window()
    )
    more = len(found) > asked.limit
    following = _address(asked, offset=asked.offset + asked.limit) if more else None
    return TaskList(rows(store, found[: asked.limit], asked.columns, asked.text_limit), following)


def _address(asked: ask.Tasks, **place: object) -> str:
    """The query string of the next page: what was asked for, from another place on."""
    given = {name: getattr(asked, name) for name in asked.__struct_fields__ if name not in ("cursor", "offset")}
    changed = {
        name: ",".join(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value != _DEFAULTS[name]
    }
    return f"tasks?{urlencode({**changed, **place}, errors='replace')}"


_DEFAULTS = msgspec.structs.asdict(ask.Tasks())


def task(store: Reader, asked: ask.OneTask) -> TaskRow:
    found = store.task(asked.uuid)
    if found is None:
        raise NoSuchTask(f"Unknown task '{asked.uuid}'", hint="no such task was recorded")
    return rows(store, [found], COLUMNS)[0]


def family(store: Reader, asked: ask.OneFamily) -> FamilyTree:
    return questions.related_tasks(store, asked.uuid, limit=asked.limit)


def count(store: Reader, asked: ask.Found) -> Count:
    return questions.task_count(store, asked.query, **asked.window())


def facets(store: Reader, asked: ask.Faceted) -> Facets:
    return questions.task_facets(
        store, asked.query, asked.facets, limit=asked.limit, containing=asked.containing, **asked.window()
    )


def histogram(store: Reader, asked: ask.Bucketed) -> Histogram:
    return questions.task_histogram(store, asked.query, buckets=asked.buckets, width=asked.seconds, **asked.window())


def stats(store: Reader, asked: ask.Figured) -> Stats:
    return questions.task_stats(
        store,
        asked.query,
        by=None if asked.by is UNSET else asked.by,
        limit=asked.limit,
        buckets=asked.buckets,
        width=asked.seconds,
        **asked.window(),
    )


def workflows(store: Reader, asked: ask.Workflows) -> WorkflowList:
    found = questions.workflow_page(
        store, asked.query, limit=asked.limit, cursor=asked.cursor or None, **asked.window()
    )
    roots = rows(store, [each.root for each in found.workflows], asked.columns) if asked.columns else None
    return WorkflowList(
        tuple(_workflow(each, UNSET if roots is None else roots[place]) for place, each in enumerate(found.workflows)),
        found.cursor,
        found.partial,
    )


def _workflow(found: Workflow, root: TaskRow | UnsetType) -> WorkflowRow:
    seconds = None if found.started is None or found.last is None else found.last - found.started
    return WorkflowRow(
        uuid=found.root.uuid,
        name=found.root.name,
        state=found.root.state,
        tasks=found.tasks,
        ended=found.ended,
        failed=found.failed,
        running=found.running,
        started=found.started,
        last=found.last,
        seconds=seconds,
        root=root,
    )


def slowest(store: Reader, asked: ask.Slowest) -> TopTasks:
    found = questions.slowest_tasks(store, asked.query, limit=asked.limit, **asked.window())
    return TopTasks(rows(store, found, asked.columns, asked.text_limit))


def waiting(store: Reader, asked: ask.Waiting) -> TopTasks:
    found = questions.waiting_tasks(store, asked.query, still=asked.still, limit=asked.limit, **asked.window())
    return TopTasks(rows(store, found, asked.columns, asked.text_limit))


def workers(store: Reader, asked: ask.Nothing) -> WorkerList:
    now = time.time()
    return WorkerList(tuple(worker_row(worker, now) for worker in store.workers().values()))


def worker(store: Reader, asked: ask.OneWorker) -> WorkerDetail:
    known = store.workers()
    found = known.get(asked.name)
    if found is None:
        raise NotFound(f"Unknown worker '{asked.name}'", hint=did_you_mean(asked.name, sorted(known)[:20]))
    tasks = store.facets(Term("worker", "equals", asked.name), ("state",))
    states = {str(value.value): value.count for value in tasks.facets["state"].values}
    return WorkerDetail(worker_row(found, time.time()), tasks.count, states, tasks.partial)


def worker_history(store: Reader, asked: ask.History) -> WorkerHistory:
    return WorkerHistory(questions.worker_history(store, asked.name, limit=asked.limit))


def names(store: Reader, asked: ask.Names) -> NameList:
    found = questions.task_facets(
        store, asked.query, ("name",), limit=asked.limit, containing=asked.containing, **asked.window()
    )
    known = [value for value in found.facets["name"].values if value.value is not None]
    return NameList(
        tuple(Name(str(value.value), value.count) for value in known), found.facets["name"].more, found.partial
    )


def suggest(store: Reader, asked: ask.Typed) -> Suggestions:
    position = None if asked.position is UNSET else asked.position
    return questions.suggestions(store, asked.text, position, limit=asked.limit)


def search(store: Reader, asked: ask.Explained) -> Explanation:
    tree = parse(asked.query, zone=zone_of(asked.tz))
    fields = tuple(
        SearchField(field.name, field.kind, field.cost, field.sentence, field.example) for field in FIELDS.values()
    )
    notices = tuple(SearchNotice(notice.message, notice.position) for notice in warnings(asked.query))
    return Explanation(asked.query, to_text(tree), notices, fields)


def status(store: Reader, asked: ask.Nothing) -> StatusAnswer:
    state, said = store.status(), dict(store.recorder_status())
    told = said.get("capture")
    capture = told if isinstance(told, dict) else {}
    recorder = RecorderState(
        at=_as(float, said.get("at")),
        running=_as(bool, said.get("running")),
        connected=_as(bool, capture.get("connected")),
        events=_as(int, said.get("events")),
        last_event=_as(float, said.get("last_event")),
        trouble=_as(str, said.get("trouble")),
        last_error=None if capture.get("connected") else _as(str, capture.get("last_error")),
        lag=_as(float, said.get("lag")),
    )
    heard = recorder.at is not None and time.time() - recorder.at <= SILENCE
    recording = bool(heard and recorder.running and recorder.connected and recorder.trouble is None)
    held = StoreState(state.sequence, state.tasks, state.bytes, state.segments, state.damaged)
    return StatusAnswer(recording, held, recorder, tuple(store.gaps()))


def _as(kind: type[T], value: Any) -> T | None:
    """What another process wrote is believed only as far as its type goes."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None
