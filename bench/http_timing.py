"""Sends HTTP requests one after the other over one connection, and records the duration of each."""

import http.client
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from bench.query_mix import QueryRow, Request
from bench.results import Measurement, Sample, Target, p95_sample, percentile, single_sample
from bench.visibility_check import HttpClient

#: Errors after which a kind of request is not sent again: its row has missed its target.
MAX_ERRORS = 3


class PartialFlag(msgspec.Struct):
    """The member of a response that marks it as incomplete."""

    partial: str | None = None


@dataclass(slots=True)
class RequestTimes:
    """The durations of all requests of one kind, and the errors: failed requests, wrong and partial responses."""

    milliseconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def p95(self) -> float:
        return percentile(sorted(self.milliseconds), 95) if self.milliseconds else float("inf")


#: By row, then by kind.
TimesByRow = dict[str, dict[str, RequestTimes]]


class TimedResponse(NamedTuple):
    """`error` is None for a correct response."""

    milliseconds: float
    error: str | None
    body: bytes = b""


def time_request(client: HttpClient, request: Request) -> TimedResponse:
    """Send one request; the time ends when the body is complete."""
    started_at = time.perf_counter()
    try:
        status, body = client.get(request.path, **request.parameters)
    except (OSError, http.client.HTTPException) as error:
        return TimedResponse(1000 * (time.perf_counter() - started_at), f"{type(error).__name__}: {error}")
    elapsed = 1000 * (time.perf_counter() - started_at)
    if status != 200:
        return TimedResponse(elapsed, f"{status}: {body[:200].decode(errors='replace')}")
    if request.contains.encode() not in body:
        return TimedResponse(elapsed, f"the response does not contain {request.contains!r}")
    partial = msgspec.json.decode(body, type=PartialFlag).partial
    return TimedResponse(elapsed, f"partial: {partial}" if partial else None, body)


def time_requests(
    client: HttpClient,
    rows: Sequence[QueryRow],
    rng: random.Random,
    *,
    rounds: int,
    is_over: Callable[[], bool] = lambda: False,
) -> TimesByRow:
    """Send `rounds` rounds, each with one request of every kind in random order; stop early when `is_over` is true."""
    times_by_row: TimesByRow = {row.name: {kind: RequestTimes() for kind in row.kinds} for row in rows}
    requests = [(row.name, kind, make) for row in rows for kind, make in row.kinds.items()]
    for _ in range(rounds):
        for row, kind, make in rng.sample(requests, len(requests)):
            if is_over():
                return times_by_row
            times = times_by_row[row][kind]
            if len(times.errors) >= MAX_ERRORS:
                continue
            request = make(rng)
            milliseconds, error, _ = time_request(client, request)
            if error is None:
                times.milliseconds.append(milliseconds)
            else:
                times.errors.append(f"{error} ({request.path} {dict(request.parameters)})")
    return times_by_row


def make_measurements(
    label: str, rows: Sequence[QueryRow], times_by_row: TimesByRow, tasks: int, *, factor: float = 1.0
) -> list[Measurement]:
    """A measurement for each row, and one for each of its kinds that misses the target, unless all of them miss it.
    `factor` multiplies the targets."""
    measurements = []
    for row in rows:
        limit = row.target(tasks)
        target = Target("value", "<=", limit * factor) if limit is not None else None
        kinds = {kind: times for kind, times in times_by_row[row.name].items() if times.milliseconds or times.errors}
        total = _measurement(f"{label}: {row.name}", kinds, target)
        measurements.append(total)
        if target is not None:
            missed = {kind: times for kind, times in kinds.items() if times.errors or times.p95 > target.limit}
        if target is not None and len(missed) < len(kinds):
            measurements += [
                _measurement(f"{label}: {row.name}: {kind}", {kind: times}, target) for kind, times in missed.items()
            ]
    return measurements


def _measurement(name: str, kinds: dict[str, RequestTimes], target: Target | None) -> Measurement:
    raw = [each for times in kinds.values() for each in times.milliseconds]
    errors = [error for times in kinds.values() for error in times.errors]
    samples = {"bellflower": _sample(raw, errors)} if kinds else {}
    more = {"kinds": {kind: {"ms": times.milliseconds, "errors": times.errors} for kind, times in kinds.items()}}
    return Measurement(name, "p95 ms", samples, target, more, _note(raw, errors, kinds))


def _sample(raw: Sequence[float], errors: Sequence[str]) -> Sample:
    """Infinite if there are errors: a row with errors misses its target."""
    return single_sample(float("inf")) if errors else p95_sample(raw)


def _note(raw: Sequence[float], errors: Sequence[str], kinds: dict[str, RequestTimes]) -> str:
    if not raw and not errors:
        return "no requests"
    parts = [f"n {len(raw) + len(errors)}"]
    if raw:
        parts.append(f"p50 {percentile(sorted(raw), 50):.3g}")
        parts.append(f"p95 {percentile(sorted(raw), 95):.3g}")
        parts.append(f"max {max(raw):.3g}")
    if len(kinds) > 1 and not errors:
        slowest = max(kinds, key=lambda kind: kinds[kind].p95)
        parts.append(f"slowest {slowest} {kinds[slowest].p95:.3g}")
    if errors:
        parts.append(f"{len(errors)} errors, {errors[0][:120]}")
    return ", ".join(parts)
