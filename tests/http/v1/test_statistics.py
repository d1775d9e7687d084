"""Counts, facets, histograms, statistics and failures for a query and a time window."""

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower.api.query_params import BUCKET_WIDTHS, MAX_BUCKETS, choose_buckets
from flower.api.statistics import compute_percentiles
from flower.errors import InvalidRequest
from flower.quantile_sketch import create_sketch
from flower.records import Task, Worker
from tests.helpers.api_v1 import ClientOf, error, get, memory

DAY = datetime(2026, 11, 22, tzinfo=UTC).timestamp()


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.fixture
def day(client_of: ClientOf) -> httpx.Client:
    """One task per minute for a day; every tenth fails, with one of two exceptions."""
    tasks = [
        Task(
            uuid=f"t{n}",
            name=f"shop.{'mail' if n % 3 else 'order'}",
            state="FAILURE" if n % 10 == 0 else "SUCCESS",
            hostname=f"celery@w{n % 2}",
            sent=DAY + 60 * n,
            received=DAY + 60 * n,
            started=DAY + 60 * n + n % 4,
            timestamp=DAY + 60 * n + 5,
            runtime=1.0 + n % 5,
            exception=None if n % 10 else f"ValueError('order {n}')" if n % 20 else "KeyError('x')",
        )
        for n in range(1440)
    ]
    workers = [Worker("celery@w0", heartbeat=time.time(), freq=2.0), Worker("celery@w1", online=False)]
    return client_of(memory(tasks, workers))


def test_counts_in_a_window(day: httpx.Client) -> None:
    assert get(day, "count") == {"count": 1440, "partial": None}
    assert get(day, "count", query="state:FAILURE", start=DAY, end=DAY + 3599)["count"] == 6
    assert get(day, "count", start="2026-11-22T06:00Z", end="2026-11-22T06:59Z")["count"] == 60
    # the same words mean another hour in another zone
    assert get(day, "count", start="2026-11-22T06:00", end="2026-11-22T06:59", tz="Asia/Tokyo")["count"] == 0
    assert get(day, "count", start="2026-11-22T09:00", end="2026-11-22T09:59", tz="Asia/Tokyo")["count"] == 60
    assert get(day, "count", time="started", end=DAY + 62)["count"] == 2


def test_facets(day: httpx.Client) -> None:
    result = get(day, "facets", facets="state,exception", query="worker:w0")
    assert result["count"] == 720
    assert result["facets"]["state"]["values"] == [
        {"value": "SUCCESS", "count": 576},
        {"value": "FAILURE", "count": 144},
    ]
    assert result["facets"]["exception"]["values"][0] == {"value": None, "count": 576}
    some = get(day, "facets", facets="name", contains="MAI")["facets"]["name"]
    assert some == {
        "values": [{"value": "shop.mail", "count": 960}], "more": 0, "selected": [], "remaining_query": "",
    }  # fmt: skip
    assert get(day, "task-types", limit=1) == {
        "task_types": [{"name": "shop.mail", "count": 960}], "more": 1, "partial": None,
    }  # fmt: skip


def test_histogram_covers_all_tasks(day: httpx.Client) -> None:
    result = get(day, "histogram", buckets=24, tz="UTC")
    assert result["span"] == {"start_at": DAY, "width": 3600.0, "buckets": 24, "time": "time"}
    assert result["states"]["FAILURE"] == [6] * 24
    hour = get(day, "histogram", query="state:FAILURE", start=DAY + 3600, end=DAY + 7199, width=600, tz="UTC")
    assert hour["states"] == {"FAILURE": [1] * 6}
    assert hour["span"]["start_at"] == DAY + 3600
    nothing = get(day, "histogram", query="name:nothing")
    assert nothing["states"] == {}
    assert "maximum 2,000" in error(day, "histogram", width=1)["message"]


def test_statistics_by_name_and_over_time(day: httpx.Client) -> None:
    result = get(day, "stats", group_by="name", start=DAY, end=DAY + 86400, tz="UTC")
    assert result["total"]["count"] == 1440
    assert result["total"]["failure_rate"] == pytest.approx(0.1)
    assert result["total"]["throughput"] == pytest.approx(1440 / 86400)
    assert result["total"]["runtime"]["p50"] == pytest.approx(3.0, rel=0.011)
    assert result["total"]["wait"]["p99"] == pytest.approx(3.0, rel=0.011)
    assert [(group["group"], group["count"]) for group in result["groups"]] == [("shop.mail", 960), ("shop.order", 480)]
    assert get(day, "stats")["total"]["throughput"] is None
    hours = get(day, "stats", group_by="time", buckets=24, tz="UTC")
    assert [group["group"] for group in hours["groups"]] == [DAY + 3600 * n for n in range(24)]
    assert {group["throughput"] for group in hours["groups"]} == {60 / 3600}
    assert hours["span"]["width"] == 3600


def test_failures(day: httpx.Client) -> None:
    result = get(day, "failures", buckets=24, tz="UTC")
    assert (result["count"], result["more"], len(result["failures"])) == (144, 0, 2)
    assert {group["fingerprint"]["exception"] for group in result["failures"]} == {"ValueError", "KeyError"}
    assert all(group["trend"] == [3] * 24 for group in result["failures"])
    group = result["failures"][0]
    one = get(day, f"failures/{group['fingerprint']['id']}", buckets=24, tz="UTC", limit=3, columns="exception")
    assert one["failure"] == group
    assert one["tasks"][0]["uuid"] == group["example"]
    assert len(one["tasks"]) == 3
    assert error(day, "failures/0000000000000000", 404)["code"] == "not_found"


def test_workers(day: httpx.Client) -> None:
    workers = get(day, "workers")["workers"]
    assert [(worker["name"], worker["alive"]) for worker in workers] == [("celery@w0", True), ("celery@w1", False)]
    one = get(day, "workers/celery@w1")
    assert (one["task_count"], one["states"]) == (720, {"SUCCESS": 720})
    events = get(day, "workers/celery@w0/history")["events"]
    assert [event["event"] for event in events] == ["online"]
    assert "did you mean celery@w" in error(day, "workers/celery@w2", 404)["hint"]
    assert error(day, "workers/nobody/history", 404)["code"] == "not_found"


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=50))
def test_percentiles_are_quantiles_of_the_sketch(values: list[float]) -> None:
    sketch = create_sketch(values)
    result = compute_percentiles(sketch)
    parts = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}
    assert result.count == len(values)
    assert {name: getattr(result, name) for name in parts} == {n: sketch.quantile(part) for n, part in parts.items()}


times = st.floats(0, 4e9)


@given(times, times, st.integers(1, 1000), st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York"]))
def test_buckets_cover_the_window(one: float, other: float, buckets: int, zone: str) -> None:
    start, end = sorted((one, other))
    span = choose_buckets(start, end, buckets=buckets, width=None, zone=ZoneInfo(zone), key="received")
    assert span.start_at <= start
    assert end < span.end or end == pytest.approx(span.end)
    assert 1 <= span.buckets <= buckets + 1
    assert span.width in BUCKET_WIDTHS or span.width % BUCKET_WIDTHS[-1] == 0


def test_days_start_at_midnight_of_the_zone() -> None:
    zone = ZoneInfo("America/New_York")
    start, end = epoch("2026-11-20T13:00-05:00"), epoch("2026-11-22T01:00-05:00")
    span = choose_buckets(start, end, buckets=3, width=None, zone=zone, key="received")
    assert (span.start_at, span.width, span.buckets) == (epoch("2026-11-20T12:00-05:00"), 43200.0, 4)
    with pytest.raises(InvalidRequest, match="Too many buckets"):
        choose_buckets(0.0, MAX_BUCKETS, buckets=1, width=1.0, zone=zone, key="received")


def test_facets_without_their_own_term(day: httpx.Client) -> None:
    query = "state:FAILURE worker:=celery@w0"
    result = get(day, "facets", facets="state,worker,name", query=query, exclude_own="true")
    state, worker, name = (result["facets"][facet] for facet in ("state", "worker", "name"))
    assert result["count"] == 144
    assert (state["selected"], state["remaining_query"]) == (["FAILURE"], "worker:=celery@w0")
    assert {value["value"]: value["count"] for value in state["values"]} == {"SUCCESS": 576, "FAILURE": 144}
    assert worker["selected"] == ["celery@w0"]
    assert [value["value"] for value in worker["values"]] == ["celery@w0"]
    assert (name["selected"], name["remaining_query"]) == ([], query)
    own = get(day, "facets", facets="state", query=query)["facets"]["state"]
    assert own["values"] == [{"value": "FAILURE", "count": 144}]
