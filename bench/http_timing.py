"""Asks over HTTP, one question after the other over one connection, and keeps the time of every answer."""

import http.client
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from bench.query_mix import Request, Row
from bench.results import Bar, Figure, Sample, percentile, single, slow_end
from bench.visibility_check import View

#: A kind of question that fails so often is not asked again: its row has missed its bar.
GIVE_UP = 3


class Whole(msgspec.Struct):
    """What an answer says about itself."""

    partial: str | None = None


@dataclass(slots=True)
class Kind:
    """What became of the questions of one kind. Errors are in words, wrong and partial answers among them."""

    milliseconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def slow(self) -> float:
        return percentile(sorted(self.milliseconds), 95) if self.milliseconds else float("inf")


#: By row, then by kind.
Times = dict[str, dict[str, Kind]]


class Answer(NamedTuple):
    """`error`: what is wrong with it."""

    milliseconds: float
    error: str | None
    body: bytes = b""


def ask(view: View, request: Request) -> Answer:
    """The time is until the whole answer was there."""
    began = time.perf_counter()
    try:
        status, body = view.get(request.path, **request.parameters)
    except (OSError, http.client.HTTPException) as error:
        return Answer(1000 * (time.perf_counter() - began), f"{type(error).__name__}: {error}")
    elapsed = 1000 * (time.perf_counter() - began)
    if status != 200:
        return Answer(elapsed, f"{status}: {body[:200].decode(errors='replace')}")
    if request.holds.encode() not in body:
        return Answer(elapsed, f"the answer does not hold {request.holds!r}")
    partial = msgspec.json.decode(body, type=Whole).partial
    return Answer(elapsed, f"partial: {partial}" if partial else None, body)


def interview(
    view: View, rows: Sequence[Row], chance: random.Random, *, rounds: int, over: Callable[[], bool] = lambda: False
) -> Times:
    """A round is one question of every kind, in an order of its own. Ends after so many, or when it is `over`."""
    times: Times = {row.name: {kind: Kind() for kind in row.kinds} for row in rows}
    questions = [(row.name, kind, make) for row in rows for kind, make in row.kinds.items()]
    for _ in range(rounds):
        for row, kind, make in chance.sample(questions, len(questions)):
            if over():
                return times
            asked = times[row][kind]
            if len(asked.errors) >= GIVE_UP:
                continue
            request = make(chance)
            milliseconds, error, _ = ask(view, request)
            if error is None:
                asked.milliseconds.append(milliseconds)
            else:
                asked.errors.append(f"{error} ({request.path} {dict(request.parameters)})")
    return times


def figures(label: str, rows: Sequence[Row], times: Times, tasks: int, *, factor: float = 1.0) -> list[Figure]:
    """A figure for each row; and one for each of its kinds that misses the bar, unless they all do. `factor` is by how
    much the bars are higher."""
    made = []
    for row in rows:
        limit = row.bar(tasks)
        bar = Bar("value", "<=", limit * factor) if limit is not None else None
        kinds = {kind: asked for kind, asked in times[row.name].items() if asked.milliseconds or asked.errors}
        whole = _figure(f"{label}: {row.name}", kinds, bar)
        made.append(whole)
        if bar is not None:
            missed = {kind: asked for kind, asked in kinds.items() if asked.errors or asked.slow > bar.limit}
        if bar is not None and len(missed) < len(kinds):
            made += [_figure(f"{label}: {row.name}: {kind}", {kind: asked}, bar) for kind, asked in missed.items()]
    return made


def _figure(name: str, kinds: dict[str, Kind], bar: Bar | None) -> Figure:
    raw = [each for asked in kinds.values() for each in asked.milliseconds]
    errors = [error for asked in kinds.values() for error in asked.errors]
    samples = {"bellflower": _sample(raw, errors)} if kinds else {}
    more = {"kinds": {kind: {"ms": asked.milliseconds, "errors": asked.errors} for kind, asked in kinds.items()}}
    return Figure(name, "p95 ms", samples, bar, more, _note(raw, errors, kinds))


def _sample(raw: Sequence[float], errors: Sequence[str]) -> Sample:
    """A row with errors has missed its bar, however quick the others were."""
    return single(float("inf")) if errors else slow_end(raw)


def _note(raw: Sequence[float], errors: Sequence[str], kinds: dict[str, Kind]) -> str:
    if not raw and not errors:
        return "not asked"
    parts = [f"n {len(raw) + len(errors)}"]
    if raw:
        parts.append(f"p50 {percentile(sorted(raw), 50):.3g}")
        parts.append(f"p95 {percentile(sorted(raw), 95):.3g}")
        parts.append(f"max {max(raw):.3g}")
    if len(kinds) > 1 and not errors:
        slowest = max(kinds, key=lambda kind: kinds[kind].slow)
        parts.append(f"slowest {slowest} {kinds[slowest].slow:.3g}")
    if errors:
        parts.append(f"{len(errors)} errors, {errors[0][:120]}")
    return ", ".join(parts)
