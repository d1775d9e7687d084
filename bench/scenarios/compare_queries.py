"""Equivalent requests to Flower and Bellflower, with the same tasks in both."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from bench.event_feed import EventFeed, Transport, WindowedFeed
from bench.event_stream import Workload
from bench.http_timing import time_request
from bench.paired_requests import RequestPair, TableLine, table_lines
from bench.results import Measurement, Sample, Target, p95_sample, percentile, single_sample
from bench.runner import BenchmarkRun, start_trial, wait_until
from bench.systems_under_test import System, wait_idle
from bench.visibility_check import HttpClient

#: By the times of the tasks: a hundred thousand tasks span two and a half hours.
TASKS_PER_SECOND = 11.0


@dataclass(slots=True)
class QueryTimes:
    """The responses of one system to the requests of one row: durations in milliseconds, and numbers of tasks."""

    milliseconds: list[float] = field(default_factory=list)
    tasks: list[int | None] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


#: By row and API, then by system.
Results = dict[tuple[str, str], dict[str, QueryTimes]]
Requests = dict[tuple[str, str], list[RequestPair]]


def compare_queries(bench: BenchmarkRun) -> Iterator[Measurement]:
    workload = Workload(bench.sizes.tasks, pace=TASKS_PER_SECOND, notes=True)
    times = table_lines(workload)
    requests = _make_requests(times, bench.sizes.pairs)
    results: Results = {key: {} for key in requests}
    with EventFeed(Transport("redis", batched=True), workload) as feed:
        for system in bench.systems:
            _time_system(bench, system, feed, requests, results)
    for line in times:
        for api in line.apis:
            yield _measurement(line, api, results[line.name, api])
    yield _compare_counts(results)


def _make_requests(times: tuple[TableLine, ...], each: int) -> Requests:
    """Random requests of every kind; the first of each kind is for warming up."""
    rng = random.Random(5)
    return {(line.name, api): [make(rng) for _ in range(each + 1)] for line in times for api, make in line.apis.items()}


def _time_system(bench: BenchmarkRun, system: System, feed: EventFeed, requests: Requests, results: Results) -> None:
    with start_trial(system, feed) as trial:
        WindowedFeed(feed, trial.client).run(lambda events: None)
        wait_until(lambda: trial.client.are_finished(feed.tail), limit=30)
        wait_idle(trial.running, idle_for=2)
        bench.log(f"{system.name}: sending requests")
        for key, pairs in requests.items():
            results[key][system.name] = _time_pairs(trial.client, system, pairs)
    bench.log(f"{system.name}: {sum(len(each[system.name].errors) for each in results.values())} errors")


def _time_pairs(client: HttpClient, system: System, pairs: list[RequestPair]) -> QueryTimes:
    times = QueryTimes()
    for number, pair in enumerate(pairs):
        request = getattr(pair, system.name)
        milliseconds, error, body = time_request(client, request)
        if number == 0:
            continue
        if error is not None:
            times.errors.append(f"{error} ({request.path} {dict(request.parameters)})")
        times.milliseconds.append(milliseconds)
        times.tasks.append(None if error is not None else count_tasks(body))
    return times


def count_tasks(body: bytes) -> int:
    """The number of tasks in a response: under `data` in the datatable, under `tasks` in /api/v1, else its members."""
    answer = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    for name in ("data", "tasks"):
        if name in answer:
            return len(msgspec.json.decode(answer[name], type=list[msgspec.Raw]))
    return len(answer)


def _measurement(line: TableLine, api: str, results: dict[str, QueryTimes]) -> Measurement:
    # After an error of Flower there is nothing to compare with.
    samples = {name: _sample(times) for name, times in results.items() if name != "flower" or not times.errors}
    return Measurement(
        f"against Flower, {api}: {line.name}",
        "p95 ms",
        samples,
        Target("faster", ">=", line.min_speedup),
        results,
        _note(results),
    )


def _sample(times: QueryTimes) -> Sample:
    """Infinite if there are errors."""
    return single_sample(float("inf")) if times.errors else p95_sample(times.milliseconds)


def _note(results: dict[str, QueryTimes]) -> str:
    parts = [f"n {max(len(times.milliseconds) for times in results.values())}"]
    if all(not times.errors for times in results.values()) and len(results) == 2:
        for percent in (50, 95, 100):
            flower_ms, bellflower_ms = (
                percentile(sorted(results[n].milliseconds), percent) for n in ("flower", "bellflower")
            )
            parts.append(f"{'max' if percent == 100 else f'p{percent}'} {flower_ms:.3g} : {bellflower_ms:.3g}")
    parts += [f"{name}: {len(a.errors)} errors, {a.errors[0][:120]}" for name, a in results.items() if a.errors]
    return ", ".join(parts)


def _compare_counts(results: Results) -> Measurement:
    """The share of responses with as many tasks as Flower's: a fast response with missing tasks must not count."""
    pairs = [
        (flower_count, bellflower_count)
        for each in results.values()
        if len(each) == 2
        for flower_count, bellflower_count in zip(each["flower"].tasks, each["bellflower"].tasks, strict=True)
        if flower_count is not None and bellflower_count is not None
    ]
    same = sum(flower_count == bellflower_count for flower_count, bellflower_count in pairs)
    share = {"bellflower": single_sample(100 * same / len(pairs))} if pairs else {}
    return Measurement("against Flower: same number of tasks", "%", share, note=f"of {len(pairs)} responses")
