"""Random tasks, queries and writes between pages: every store returns the results of the reference, and results are
consistent with each other."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flower.fingerprint import compute_fingerprint
from flower.records import Task
from flower.search.tree import EVERYTHING, Node, Not, Or, Term
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Query, Reader, Retention
from flower.store.query_results import FACETS, TIME_KEYS, BucketSpan, Facet, Page, Workflows
from tests.helpers.search_strategies import trees
from tests.helpers.stores import Store, opened
from tests.helpers.task_factory import ids, nodes, queries, some_tasks, times, uuid_of
from tests.store.sqlite.test_random_event_sequences import FAST, write_like_the_recorder
from tests.store.test_query_results import ANSWERING

anything = settings(report_multiple_bugs=False, max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))

#: existing groups, an unknown one, and an invalid id
SOME_FAILURES = [
    *(
        found.id
        for found in (compute_fingerprint("KeyError('x')", None), compute_fingerprint("Declined('card 17')", None))
        if found
    ),
    "0123456789abcdef",
    "nonsense",
]

GROUPS = Or(
    tuple(Term("failure", "equals", f"{number:016x}") for number in range(9))
    + tuple(Term("failure", "equals", failure) for failure in SOME_FAILURES[:2])
)

failures = st.sampled_from(
    [
        (None, None),
        ("Declined('card 17')", None),
        ("Declined('card 4')", 'Traceback (most recent call last):\n  File "/srv/pay.py", line 3, in pay\nDeclined: 4'),
        ("KeyError('x')", None),
        ("", ""),
    ]
)  # fmt: skip


@st.composite
def tasks(draw: st.DrawFn, uuids: st.SearchStrategy[str] = ids) -> Task:
    task = draw(some_tasks(uuids))
    if draw(st.booleans()):
        exception, text = draw(failures)
        task = msgspec.structs.replace(task, exception=exception, traceback=text)
    return task


histories = st.lists(st.lists(tasks(), max_size=10, unique_by=lambda task: task.uuid), min_size=1, max_size=5)
spans = st.builds(
    BucketSpan,
    start_at=times | st.sampled_from([999.9, -5.0]),
    width=st.sampled_from([0.1, 0.5, 1.0, 1000.0, 1e12]),
    buckets=st.integers(1, 7),
    time=st.sampled_from(TIME_KEYS),
)


class QueryCase(msgspec.Struct, frozen=True):
    """A query of each kind."""

    where: Node
    query: Query
    facets: tuple[Facet, ...]
    by: Facet
    limit: int
    containing: str | None
    span: BucketSpan
    member: str


@st.composite
def query_cases(draw: st.DrawFn, history: list[list[Task]]) -> QueryCase:
    written = [task for batch in history for task in batch]
    #: often one that matches a stored task
    where = draw(trees(draw(st.sampled_from(written))) | nodes if written else nodes)
    return QueryCase(
        where=where,
        query=Query(where, draw(queries).sort),
        facets=tuple(draw(st.lists(st.sampled_from(FACETS), max_size=4))),
        by=draw(st.sampled_from(FACETS)),
        limit=draw(st.integers(-1, 5) | st.just(100)),
        containing=draw(st.none() | st.sampled_from(["", "S", "ss", "ß", "İ", "mail", "err"])),
        span=draw(spans),
        member=draw(ids),
    )


def results(reader: Reader, case: QueryCase) -> dict[str, Any]:
    return {
        "counted": reader.count_until_deadline(case.where),
        "facets": reader.facets(case.where, case.facets, limit=case.limit, containing=case.containing),
        "histogram": reader.histogram(case.where, case.span),
        "summaries": reader.summaries(case.where, by=case.by, limit=case.limit),
        "total": reader.summaries(case.where),
        "timeline": reader.timeline(case.where, case.span),
        "failures": reader.failures(case.where, limit=case.limit, span=case.span),
        "all failures": reader.failures(case.where, limit=100),
        "failures seen": reader.failures_seen(),
        "some failures seen": reader.failures_seen(SOME_FAILURES),
        "family": reader.family(case.member, limit=case.limit),
        "failures of groups": [reader.count(node) for node in (GROUPS, Not(GROUPS))],
        "workflows": [page.workflows for page in workflow_pages(reader, case.where, max(1, case.limit))],
        "slow": reader.slow_thresholds(),
        "pages": [page.tasks for page in pages(reader, case.query, max(1, case.limit))],
    }


def pages(reader: Reader, query: Query, limit: int) -> Iterator[Page]:
    page = reader.task_page(query, limit=limit)
    yield page
    while page.cursor is not None:
        page = reader.task_page(query, limit=limit, cursor=page.cursor)
        yield page


def workflow_pages(reader: Reader, where: Node, limit: int) -> Iterator[Workflows]:
    page = reader.workflows(where, limit=limit)
    yield page
    while page.cursor is not None:
        page = reader.workflows(where, limit=limit, cursor=page.cursor)
        yield page


@contextmanager
def filled(kind: str, history: list[list[Task]]) -> Iterator[Store]:
    folder = Path(tempfile.mkdtemp(prefix="bellflower-store-", dir=FAST))
    try:
        with opened(kind, folder, segment_tasks=7) as store:
            for batch in history:
                write_like_the_recorder(store.writer, batch)
            yield store
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ANSWERING)
@anything
@given(data=st.data(), history=histories)
def test_results_agree_with_the_reference(kind: str, data: st.DataObject, history: list[list[Task]]) -> None:
    shared = MemoryStore()
    writer, reference = MemoryWriter(shared), MemoryReader(shared)
    with filled(kind, history[:-1]) as store:
        for batch in history[:-1]:
            write_like_the_recorder(writer, batch)
        for more in ([], history[-1]):
            write_like_the_recorder(writer, more)
            write_like_the_recorder(store.writer, more)
            for _ in range(3):
                case = data.draw(query_cases(history))
                found, expected = results(store.reader, case), results(reference, case)
                for verb, answer in expected.items():
                    assert found[verb] == answer, verb


@pytest.mark.parametrize("kind", ANSWERING)
@anything
@given(data=st.data(), history=histories)
def test_results_agree_with_each_other(kind: str, data: st.DataObject, history: list[list[Task]]) -> None:
    case = data.draw(query_cases(history))
    with filled(kind, history) as store:
        reader = store.reader
        matching = list(reader.tasks(case.query))
        assert [task for page in pages(reader, case.query, 3) for task in page.tasks] == matching
        assert reader.count_until_deadline(case.where).count == len(matching)
        for facet, counts in reader.facets(case.where, FACETS, limit=1000).facets.items():
            assert sum(value.count for value in counts.values) == len(matching), facet
        assert reader.summaries(case.where).total.states == Counter(task.state for task in matching)
        groups = reader.summaries(case.where, by=case.by, limit=1000).groups
        assert sum(group.count for group in groups) == len(matching)
        histogram, timeline = reader.histogram(case.where, case.span), reader.timeline(case.where, case.span)
        assert [sum(bucket) for bucket in zip(*histogram.states.values(), strict=True)] in (
            [group.count for group in timeline.groups],
            [],  # no tasks
        )
        failed = reader.failures(case.where, limit=1000)
        assert failed.count == sum(bool(task.exception or task.traceback) for task in matching)
        for group in failed.groups:
            example = reader.task(group.example)
            assert example in matching


# --- paging while events arrive


#: tasks that do not change, and ids of tasks that are added, changed or removed between pages
STAYING = [uuid_of(number) for number in range(20)]
moving = st.integers(100, 120).map(uuid_of)


@pytest.mark.parametrize("kind", ANSWERING)
@anything
@given(
    data=st.data(),
    query=queries,
    limit=st.integers(1, 6),
    staying=st.lists(tasks(st.sampled_from(STAYING)), max_size=20, unique_by=lambda task: task.uuid),
    before=st.lists(tasks(moving), max_size=12, unique_by=lambda task: task.uuid),
)
def test_unchanged_task_is_on_exactly_one_page(
    kind: str, data: st.DataObject, query: Query, limit: int, staying: list[Task], before: list[Task]
) -> None:
    mixed = data.draw(st.permutations([*staying, *before]))
    with filled(kind, [mixed]) as store:
        expected = [task.uuid for task in store.reader.tasks(query) if task.uuid in STAYING]
        found: list[str] = []
        for page in pages(store.reader, query, limit):
            found += [task.uuid for task in page.tasks]
            between = st.lists(tasks(moving), max_size=4, unique_by=lambda task: task.uuid)
            write_like_the_recorder(store.writer, data.draw(between) if len(found) < 100 else [])
        assert [uuid for uuid in found if uuid in STAYING] == expected


@pytest.mark.parametrize("kind", ANSWERING)
def test_pages_in_write_order_repeat_and_skip_nothing(kind: str) -> None:
    """With any writes: a changed task keeps its position, a new one comes last."""
    query = Query(EVERYTHING, ())
    first = [Task(uuid_of(number), timestamp=1.0) for number in range(10)]
    with filled(kind, [first]) as store:
        found: list[str] = []
        new = iter(range(10, 13))
        for page in pages(store.reader, query, 3):
            found += [task.uuid for task in page.tasks]
            late = [msgspec.structs.replace(task, state="SUCCESS", received=9.0, name="n") for task in first[::2]]
            number = next(new, None)
            write_like_the_recorder(store.writer, late if number is None else [*late, Task(uuid_of(number))])
        assert found == [uuid_of(number) for number in range(13)]


@pytest.mark.parametrize("kind", ANSWERING)
def test_new_tasks_do_not_shift_the_next_page(kind: str) -> None:
    with filled(kind, [[Task(uuid_of(n), received=float(n)) for n in range(9)]]) as store:
        found: list[str] = []
        for turn, page in enumerate(pages(store.reader, Query(), 2)):
            found += [task.uuid for task in page.tasks]
            write_like_the_recorder(store.writer, [Task(uuid_of(100 + turn), received=1000.0)])
        assert found == [uuid_of(n) for n in range(8, -1, -1)]


@pytest.mark.parametrize("kind", ANSWERING)
def test_page_continues_after_a_removed_task(kind: str) -> None:
    done = [Task(uuid_of(n), state="SUCCESS", received=float(n), timestamp=float(n)) for n in range(9)]
    with filled(kind, [done]) as store:
        query = Query(EVERYTHING, ())
        page = store.reader.task_page(query, limit=2)
        while store.writer.prune(Retention(max_age=5.0), now=9.0):
            pass
        left = [task.uuid for task in store.reader.tasks(query)]
        assert page.tasks[-1].uuid not in left
        rest = store.reader.task_page(query, limit=100, cursor=page.cursor)
        assert [task.uuid for task in rest.tasks] == left
