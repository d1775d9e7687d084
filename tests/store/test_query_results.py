"""Conformance tests of aggregations and pages, with results computed by hand, on every store."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from flower.errors import InvalidRequest
from flower.quantile_sketch import Sketch, create_sketch
from flower.records import Attempt, Task
from flower.search.tree import EVERYTHING, And, Not, Or, Term
from flower.store.protocols import NEWEST_BY_TIME, SORT_KEYS, Batch, Query, Reader, Retention, Sort, TaskChange
from flower.store.query_results import FACETS, BucketSpan, FacetCounts, FacetValue, Summary
from tests.helpers.stores import Store, opened
from tests.helpers.task_factory import uuid_of

#: The stores under test.
ANSWERING = ["memory", "sqlite", "compressed"]

FAILED = Term("state", "is", "failure")


@pytest.fixture(params=ANSWERING)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    # small segments, so that a few tasks fill several
    with opened(request.param, tmp_path, segment_tasks=3) as made:
        yield made


def bare(number: int, name: str | None, state: str, hostname: str | None, **fields: object) -> Task:
    return msgspec.structs.replace(Task(uuid_of(number), name, state, hostname), **fields)


# fmt: off
TASKS = [
    bare(0, "mail.send", "SUCCESS", "w1", queue="mail", sent=10.0, received=11.0, started=12.0, runtime=1.0,
         timestamp=13.0, client="web"),
    bare(1, "mail.send", "FAILURE", "w2", queue="mail", received=12.0, started=15.0, runtime=2.0, timestamp=17.0,
         exception="Timeout('after 5 s')", root_id=uuid_of(0), parent_id=uuid_of(0)),
    bare(2, "pay.charge", "FAILURE", "w1", queue="pay", received=20.0, started=20.5, timestamp=21.0,
         exception="Declined('card 1234')", root_id=uuid_of(0), parent_id=uuid_of(1)),
    bare(3, "pay.charge", "FAILURE", "w2", queue="pay", received=21.0, timestamp=30.0, runtime=0.0,
         exception="Declined('card 99')", root_id=uuid_of(3)),
    bare(4, "pay.charge", "SUCCESS", "w1", queue="PAY", received=25.0, started=26.0, runtime=8.0, timestamp=34.0),
    bare(5, None, "PENDING", None, sent=5.0, timestamp=5.0),
    bare(6, "pay.charge", "RETRY", "w1", queue="pay", received=29.999, started=29.0, timestamp=31.0,
         exception="Timeout('after 7 s')", root_id="gone"),
]
# fmt: on


@pytest.fixture
def reader(store: Store) -> Reader:
    """Written in two parts and queried in between, so that caches contain outdated results."""
    store.writer.write(Batch(new=TASKS[:4]))
    store.reader.facets(EVERYTHING, FACETS)
    store.reader.slow_thresholds()
    store.writer.write(Batch(new=TASKS[4:]))
    return store.reader


def numbers(tasks: tuple[Task, ...]) -> list[int]:
    return [next(n for n in range(200) if uuid_of(n) == task.uuid) for task in tasks]


def values(found: FacetCounts) -> list[tuple[str | None, int]]:
    return [(value.value, value.count) for value in found.values]


# --- empty stores and invalid queries


def test_empty_store(store: Store) -> None:
    reader, span = store.reader, BucketSpan(0.0, 1.0, 2)
    nobody = Summary(None, 0, {}, Sketch(), Sketch())
    assert reader.task_page(Query(), limit=5).tasks == ()
    assert reader.task_page(Query(), limit=5).cursor is None
    assert reader.count_until_deadline().count == 0
    assert reader.facets(EVERYTHING, ["name"]).facets == {"name": FacetCounts(())}
    assert reader.histogram(EVERYTHING, span).states == {}
    assert reader.summaries(EVERYTHING).total == reader.timeline(EVERYTHING, span).total == nobody
    assert reader.timeline(EVERYTHING, span).groups == (replace_group(nobody, 0.0), replace_group(nobody, 1.0))
    assert reader.summaries(EVERYTHING, by="name").groups == ()
    assert (reader.failures(EVERYTHING).groups, reader.failures(EVERYTHING).count) == ((), 0)
    assert reader.family(uuid_of(1)) is None
    assert reader.slow_thresholds() == {}
    assert list(reader.worker_history()) == list(reader.worker_history("w1")) == []


def replace_group(summary: Summary, group: float) -> Summary:
    return msgspec.structs.replace(summary, group=group)


def test_limits_of_zero(reader: Reader) -> None:
    for limit in (0, -3):
        assert reader.task_page(Query(), limit=limit).tasks == ()
        assert reader.facets(EVERYTHING, ["state"], limit=limit).facets["state"] == FacetCounts((), 4)
        assert reader.summaries(EVERYTHING, by="state", limit=limit).more == 4
        assert reader.failures(EVERYTHING, limit=limit).more == 2
        family = reader.family(uuid_of(0), limit=limit)
        assert family is not None
        assert (family.tasks, family.complete) == ((), False)
        assert list(reader.worker_history(limit=limit)) == []


@pytest.mark.parametrize(
    "span",
    [
        BucketSpan(0.0, 0.0, 3), BucketSpan(0.0, -1.0, 3), BucketSpan(0.0, 1.0, 0), BucketSpan(0.0, 1.0, -1),
        BucketSpan(0.0, 1.0, 1_000_000_000),
        BucketSpan(float("nan"), 1.0, 3), BucketSpan(float("inf"), 1.0, 3), BucketSpan(0.0, float("nan"), 3),
        BucketSpan(0.0, float("inf"), 3),
        BucketSpan(0.0, 1.0, 3, "runtime"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_invalid_spans_are_rejected(reader: Reader, span: BucketSpan) -> None:
    for method in (reader.histogram, reader.timeline):
        with pytest.raises(InvalidRequest):
            method(EVERYTHING, span)
    with pytest.raises(InvalidRequest):
        reader.failures(EVERYTHING, span=span)


def test_unknown_facets_are_rejected(reader: Reader) -> None:
    with pytest.raises(InvalidRequest, match="'color'") as caught:
        reader.facets(EVERYTHING, ["state", "color"])  # type: ignore[list-item]
    assert "routing_key" in caught.value.hint
    with pytest.raises(InvalidRequest, match="'color'"):
        reader.summaries(EVERYTHING, by="color")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="'color'"):
        reader.task_page(Query(sort=(Sort("color"),)), limit=5)


# --- pages


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ((), [0, 1, 2, 3, 4, 5, 6]),
        ((Sort("received", True),), [6, 4, 3, 2, 1, 0, 5]),
        ((Sort("received"),), [0, 1, 2, 3, 4, 6, 5]),
        ((Sort("name"),), [0, 1, 2, 3, 4, 6, 5]),
        ((Sort("name", True),), [6, 4, 3, 2, 1, 0, 5]),
        ((Sort("queue"),), [0, 1, 2, 3, 4, 6, 5]),
        ((Sort("queue", True), Sort("runtime")), [3, 4, 6, 2, 0, 1, 5]),
        ((Sort("wait"),), [6, 2, 4, 0, 1, 3, 5]),
        ((Sort("wait", True),), [1, 0, 4, 2, 6, 5, 3]),
        ((Sort("sent"),), [5, 0, 1, 2, 3, 4, 6]),
        ((Sort("sent", True),), [0, 5, 6, 4, 3, 2, 1]),
        ((Sort("runtime", True),), [4, 1, 0, 3, 6, 5, 2]),
        ((Sort("worker"), Sort("state", True)), [0, 4, 6, 2, 1, 3, 5]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_follow_the_order(reader: Reader, sort: tuple[Sort, ...], expected: list[int], limit: int) -> None:
    query = Query(sort=sort)
    assert numbers(tuple(reader.tasks(query))) == expected
    assert walk(reader, query, limit) == expected


def walk(reader: Reader, query: Query, limit: int) -> list[int]:
    """All pages; every page except the last is full, and only the last has no cursor."""
    page = reader.task_page(query, limit=limit)
    found = numbers(page.tasks)
    while page.cursor is not None:
        assert len(page.tasks) == limit
        page = reader.task_page(query, limit=limit, cursor=page.cursor)
        assert page.tasks
        found += numbers(page.tasks)
    return found


@pytest.mark.parametrize("key", SORT_KEYS)
@pytest.mark.parametrize("descending", [False, True])
def test_page_of_a_query(reader: Reader, key: str, descending: bool) -> None:
    query = Query(FAILED, (Sort(key, descending),))
    assert walk(reader, query, 2) == numbers(tuple(reader.tasks(query)))
    assert sorted(walk(reader, query, 1)) == [1, 2, 3]


def test_cursor_of_another_query_is_rejected(reader: Reader) -> None:
    cursor = reader.task_page(Query(FAILED), limit=1).cursor
    with pytest.raises(InvalidRequest, match="another query"):
        reader.task_page(Query(Not(FAILED)), limit=1, cursor=cursor)
    with pytest.raises(InvalidRequest, match="Invalid cursor"):
        reader.task_page(Query(), limit=1, cursor="nonsense")


def test_cursor_is_valid_for_the_query_an_hour_later(reader: Reader) -> None:
    def since(moment: float) -> Query:
        return Query(Term("received", "range", (moment, None)))

    first = reader.task_page(since(12.0), limit=2)
    assert numbers(first.tasks) == [6, 4]
    later = reader.task_page(since(20.5), limit=2, cursor=first.cursor)
    assert (numbers(later.tasks), later.cursor) == ([3], None)


# --- counts, facets


def test_counts_are_exact(reader: Reader) -> None:
    assert reader.count_until_deadline().count == reader.count() == 7
    assert reader.count_until_deadline(FAILED).count == 3
    assert reader.count_until_deadline(Or()).count == 0
    assert reader.count_until_deadline(FAILED).partial is None


@pytest.mark.parametrize(
    ("facet", "expected"),
    [
        ("state", [("FAILURE", 3), ("SUCCESS", 2), ("PENDING", 1), ("RETRY", 1)]),
        ("name", [("pay.charge", 4), ("mail.send", 2), (None, 1)]),
        ("worker", [("w1", 4), ("w2", 2), (None, 1)]),
        ("queue", [("pay", 3), ("mail", 2), ("PAY", 1), (None, 1)]),
        ("exception", [(None, 3), ("Declined", 2), ("Timeout", 2)]),
        ("client", [(None, 6), ("web", 1)]),
        ("exchange", [(None, 7)]),
        ("routing_key", [(None, 7)]),
    ],
)
def test_facets(reader: Reader, facet: str, expected: list[tuple[str | None, int]]) -> None:
    found = reader.facets(EVERYTHING, [facet])  # type: ignore[list-item]
    assert found.count == 7
    assert found.partial is None
    assert values(found.facets[facet]) == expected
    assert found.facets[facet].more == 0
    assert values(reader.facets(EVERYTHING, [facet], limit=1).facets[facet]) == expected[:1]  # type: ignore[list-item]
    assert reader.facets(EVERYTHING, [facet], limit=1).facets[facet].more == len(expected) - 1  # type: ignore[list-item]


def test_facets_of_a_query(reader: Reader) -> None:
    found = reader.facets(FAILED, ["worker", "queue", "worker"])
    assert found.count == 3
    assert {name: values(facet) for name, facet in found.facets.items()} == {
        "worker": [("w2", 2), ("w1", 1)],
        "queue": [("pay", 2), ("mail", 1)],
    }
    assert reader.facets(FAILED, []).facets == {}
    assert reader.facets(FAILED, []).count == 3
    assert set(reader.facets(EVERYTHING, FACETS).facets) == set(FACETS)


def test_facet_values_containing_a_text(reader: Reader) -> None:
    found = reader.facets(EVERYTHING, ["queue", "name"], containing="Pa", limit=1)
    assert found.count == 7
    assert values(found.facets["queue"]) == [("pay", 3)]
    assert found.facets["queue"].more == 1
    assert values(found.facets["name"]) == [("pay.charge", 4)]
    assert found.facets["name"].more == 0
    assert values(reader.facets(EVERYTHING, ["worker"], containing="").facets["worker"]) == [("w1", 4), ("w2", 2)]


def test_failure_facet_is_the_fingerprint(reader: Reader) -> None:
    groups = {group.fingerprint.id: group.count for group in reader.failures(EVERYTHING).groups}
    found = reader.facets(Term("exception", "contains", "("), ["failure"]).facets["failure"]
    assert dict(values(found)) == groups


# --- over time


def test_buckets_include_their_start_and_exclude_their_end(reader: Reader) -> None:
    found = reader.histogram(EVERYTHING, BucketSpan(11.0, 9.0, 2))
    # 11 and 12 are in [11, 20), 20 to 25 in [20, 29), 29.999 is outside, and one task has no time
    assert found.states == {"SUCCESS": (1, 1), "FAILURE": (1, 2)}
    assert found.span == BucketSpan(11.0, 9.0, 2)
    assert reader.histogram(FAILED, BucketSpan(0.0, 15.0, 2)).states == {"FAILURE": (1, 2)}
    assert reader.histogram(EVERYTHING, BucketSpan(-1e9, 1.0, 3)).states == {}


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (BucketSpan(5.0, 5.0, 2, "sent"), {"PENDING": (1, 0), "SUCCESS": (0, 1)}),
        (BucketSpan(12.0, 3.0, 2, "started"), {"SUCCESS": (1, 0), "FAILURE": (0, 1)}),
        (BucketSpan(30.0, 1.0, 3, "timestamp"), {"FAILURE": (1, 0, 0), "RETRY": (0, 1, 0)}),
    ],
)
def test_histogram_by_another_time(reader: Reader, span: BucketSpan, expected: dict[str, tuple[int, ...]]) -> None:
    assert reader.histogram(EVERYTHING, span).states == expected


@pytest.mark.parametrize("count", [3, 7, 10])
def test_bucket_bounds_follow_floating_point_division(store: Store, count: int) -> None:
    start, width = 1.7e9 + 0.1, 0.1
    edges = [start + width * place for place in range(count)]
    store.writer.write(Batch(new=[bare(n, None, "PENDING", None, received=edge) for n, edge in enumerate(edges)]))
    expected = [0] * count
    for edge in edges:
        place = (edge - start) / width
        if 0 <= place < count:
            expected[int(place)] += 1
    assert store.reader.histogram(EVERYTHING, BucketSpan(start, width, count)).states == {"PENDING": tuple(expected)}


def test_timeline_has_every_bucket(reader: Reader) -> None:
    found = reader.timeline(Term("queue", "equals", "pay"), BucketSpan(10.0, 5.0, 4))
    assert [group.group for group in found.groups] == [10.0, 15.0, 20.0, 25.0]
    assert [group.count for group in found.groups] == [0, 0, 2, 1]
    assert [group.states for group in found.groups] == [{}, {}, {"FAILURE": 2}, {"RETRY": 1}]
    assert found.groups[2].wait == create_sketch([0.5])
    assert found.groups[2].runtime == create_sketch([0.0])
    assert found.total == Summary(
        None, 3, {"FAILURE": 2, "RETRY": 1}, create_sketch([0.0]), create_sketch([0.5, -0.999]), retries=1
    )
    assert found.more == 0


# --- statistics


def test_summaries(reader: Reader) -> None:
    found = reader.summaries(EVERYTHING)
    assert found.groups == ()
    assert found.total == Summary(
        None,
        7,
        {"SUCCESS": 2, "FAILURE": 3, "PENDING": 1, "RETRY": 1},
        create_sketch([1.0, 2.0, 0.0, 8.0]),
        # 12 - 10, then from `received` on: 3, 0.5, 1, and one with two clocks
        create_sketch([2.0, 3.0, 0.5, 1.0, -0.999]),
        retries=1,
    )
    assert found.total.wait.quantile(1.0) == pytest.approx(3.0, rel=0.01)


def test_summaries_by_a_facet(reader: Reader) -> None:
    found = reader.summaries(EVERYTHING, by="name")
    assert found.groups == (
        Summary("pay.charge", 4, {"FAILURE": 2, "SUCCESS": 1, "RETRY": 1}, create_sketch([0.0, 8.0]),
                create_sketch([0.5, 1.0, -0.999]), retries=1),
        Summary("mail.send", 2, {"SUCCESS": 1, "FAILURE": 1}, create_sketch([1.0, 2.0]), create_sketch([2.0, 3.0])),
        Summary(None, 1, {"PENDING": 1}, Sketch(), Sketch()),
    )  # fmt: skip
    few = reader.summaries(EVERYTHING, by="name", limit=1)
    assert (few.groups, few.more, few.total) == (found.groups[:1], 2, found.total)


def test_retries_are_counted_by_attempts_at_the_time_of_their_task(store: Store) -> None:
    retried = Attempt(0, "celery@w1", started=10.0, ended=11.0, state="RETRY")
    store.writer.write(
        Batch(
            new=[
                # succeeded in the third attempt; waits for the second one; sent and not received; ran twice
                bare(1, "a", "SUCCESS", "w1", received=100.0, earlier=(retried, msgspec.structs.replace(retried))),
                bare(2, "a", "RETRY", "w1", received=100.0),
                bare(3, "a", "PENDING", None, sent=104.0),
                bare(4, "a", "SUCCESS", "w1", received=105.0, earlier=(Attempt(0, state="FAILURE"),)),
            ]
        )
    )
    buckets = store.reader.timeline(EVERYTHING, BucketSpan(100.0, 4.0, 2, "time"))
    assert [(group.count, group.retries) for group in buckets.groups] == [(2, 3), (2, 0)]
    assert buckets.total.retries == store.reader.summaries(EVERYTHING).total.retries == 3


def test_pending_tasks_are_in_windows_by_time(store: Store) -> None:
    """Received, else sent, else the first event that is known."""
    store.writer.write(Batch(new=TASKS[:2]))
    store.writer.write(Batch(new=[TASKS[5], bare(7, None, "STARTED", "w1", started=14.0, timestamp=15.0)]))
    reader = store.reader
    assert reader.histogram(EVERYTHING, BucketSpan(0.0, 10.0, 2, "time")).states == {
        "SUCCESS": (0, 1), "FAILURE": (0, 1), "PENDING": (1, 0), "STARTED": (0, 1),
    }  # fmt: skip
    assert reader.count(Term("time", "range", (None, 12.0))) == 3
    newest = [task.uuid for task in reader.tasks(Query(sort=NEWEST_BY_TIME))]
    assert newest == [uuid_of(7), uuid_of(1), uuid_of(0), uuid_of(5)]


def test_summaries_by_computed_facets(reader: Reader) -> None:
    found = reader.summaries(EVERYTHING, by="exception")
    assert [(group.group, group.count) for group in found.groups] == [(None, 3), ("Declined", 2), ("Timeout", 2)]
    assert found.groups[2].runtime == create_sketch([2.0])


def test_slow_thresholds_by_type(reader: Reader) -> None:
    found = reader.slow_thresholds()
    assert found == {"mail.send": pytest.approx(2.02, rel=0.02), "pay.charge": pytest.approx(8.08, rel=0.02)}


def test_is_slow_compares_with_the_task_type(store: Store) -> None:
    slow = Term("runtime", "slow", "")
    mail = [bare(n, "mail.send", "SUCCESS", "w1", runtime=1.0) for n in range(40)]
    mail[7] = msgspec.structs.replace(mail[7], runtime=3.0)
    reports = [bare(n, "report", "SUCCESS", "w1", runtime=60.0) for n in range(40, 60)]
    store.writer.write(Batch(new=[*mail, *reports, bare(60, None, "SUCCESS", "w1", runtime=1e6)]))
    assert numbers(tuple(store.reader.tasks(Query(slow, ())))) == [7]
    assert store.reader.count_until_deadline(slow).count == 1
    assert numbers(store.reader.task_page(Query(And((slow, Term("name", "is", "mail.send")))), limit=9).tasks) == [7]
    assert values(store.reader.facets(slow, ["name"]).facets["name"]) == [("mail.send", 1)]


# --- failures


def test_failures_are_grouped(reader: Reader) -> None:
    found = reader.failures(EVERYTHING, span=BucketSpan(10.0, 10.0, 2))
    declined, timeout = sorted(found.groups, key=lambda group: group.fingerprint.exception)
    assert (found.count, found.more) == (4, 0)
    assert (declined.fingerprint.exception, declined.fingerprint.message) == ("Declined", "card #")
    assert (declined.count, declined.first_failure_at, declined.last_failure_at, declined.trend) == (
        2,
        21.0,
        30.0,
        (0, 2),
    )
    assert declined.types == (FacetValue("pay.charge", 2),)
    assert declined.workers == (FacetValue("w1", 1), FacetValue("w2", 1))
    assert declined.example == uuid_of(3)
    assert (timeout.count, timeout.first_failure_at, timeout.last_failure_at, timeout.trend) == (2, 17.0, 31.0, (1, 1))
    assert timeout.types == (FacetValue("mail.send", 1), FacetValue("pay.charge", 1))
    assert timeout.example == uuid_of(6)
    # same size, seen later
    assert found.groups == (timeout, declined)


def test_failures_of_a_query(reader: Reader) -> None:
    found = reader.failures(FAILED)
    assert [(group.fingerprint.exception, group.count, group.trend) for group in found.groups] == [
        ("Declined", 2, ()),
        ("Timeout", 1, ()),
    ]
    few = reader.failures(FAILED, limit=1)
    assert (few.groups, few.count, few.more) == (found.groups[:1], 3, 1)
    assert reader.failures(Not(Term("exception", "contains", "("))).count == 0


def test_failures_name_the_five_most_frequent(store: Store) -> None:
    tasks = [
        bare(n, f"type-{n % 7}", "FAILURE", f"w{n}", exception=None, traceback="E: 1", timestamp=None) for n in range(9)
    ]
    store.writer.write(Batch(new=tasks))
    (group,) = store.reader.failures(EVERYTHING).groups
    assert [(value.value, value.count) for value in group.types] == [
        ("type-0", 2), ("type-1", 2), ("type-2", 1), ("type-3", 1), ("type-4", 1),
    ]  # fmt: skip
    assert [value.value for value in group.workers] == ["w0", "w1", "w2", "w3", "w4"]
    assert (group.first_failure_at, group.last_failure_at, group.example) == (None, None, uuid_of(8))


# --- families


def test_family_has_all_tasks_of_the_root(reader: Reader) -> None:
    for member in (0, 1, 2):
        family = reader.family(uuid_of(member))
        assert family is not None
        assert (family.root_id, numbers(family.tasks), family.complete) == (uuid_of(0), [0, 1, 2], True)
    cut = reader.family(uuid_of(2), limit=2)
    assert cut is not None
    assert (numbers(cut.tasks), cut.complete) == ([0, 1], False)


def test_families_of_one(reader: Reader) -> None:
    alone, own_root, orphan = reader.family(uuid_of(4)), reader.family(uuid_of(3)), reader.family(uuid_of(6))
    assert alone is not None
    assert own_root is not None
    assert orphan is not None
    assert (alone.root_id, numbers(alone.tasks)) == (uuid_of(4), [4])
    assert (own_root.root_id, numbers(own_root.tasks)) == (uuid_of(3), [3])
    assert (orphan.root_id, numbers(orphan.tasks)) == ("gone", [6])
    assert reader.family("gone") is None
    assert reader.family(uuid_of(77)) is None


# --- changes


def test_results_follow_writes(store: Store, reader: Reader) -> None:
    later = msgspec.structs.replace(TASKS[5], name="pay.charge", state="FAILURE", runtime=100.0, exception="Late()")
    stored = store.writer.load([later.uuid])[later.uuid]
    assert stored.key is not None
    store.writer.write(Batch(changed=[TaskChange(stored.key, stored.task, later)]))
    assert values(reader.facets(EVERYTHING, ["state"]).facets["state"])[0] == ("FAILURE", 4)
    assert reader.slow_thresholds()["pay.charge"] == pytest.approx(101.0, rel=0.02)
    assert reader.failures(EVERYTHING).count == 5
    assert reader.summaries(EVERYTHING, by="name").groups[0].count == 5
    while store.writer.prune(Retention(max_tasks=1), now=1e9):
        pass
    left = reader.count_until_deadline().count
    assert left < 7
    assert reader.facets(EVERYTHING, ["state"]).count == left
    assert reader.histogram(And(), BucketSpan(0.0, 100.0, 1)).states.get("SUCCESS", (0,)) <= (left,)
