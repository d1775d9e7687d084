"""`flower stats`."""

import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from flower.api.asking import Window
from flower.api.exporting import encode
from flower.api.figures import Figures, Stats
from flower.api.questions import task_stats
from flower.cli.asking import Asked, asking, form_of, found, whole, with_forms, with_query
from flower.cli.durations import seconds_of
from flower.cli.sheet import Form, Heading, say, write_machine, write_rows
from flower.errors import Invalid
from flower.store.answers import FACETS

_FIGURES = (
    Heading("tasks", "integer", rank=0, least=6),
    Heading("failed", "integer", rank=2, least=6),
    Heading("failure_rate", "part", rank=1, least=6, title="rate"),
    Heading("throughput", "rate", rank=5, least=7, title="per s"),
    Heading("wait_p50", "duration", rank=6, least=7, title="wait 50%"),
    Heading("wait_p95", "duration", rank=4, least=7, title="95%"),
    Heading("runtime_p50", "duration", rank=2, least=7, title="run 50%"),
    Heading("runtime_p95", "duration", rank=0, least=7, title="95%"),
    Heading("runtime_p99", "duration", rank=3, least=7, title="99%"),
)


@asking("stats")
@with_query
@click.option("--by", metavar="WHAT", help=f"One of {', '.join(FACETS)}.")
@click.option(
    "--over", callback=seconds_of, metavar="TIME", help="Only what was received in so long until now: 24h, 7d."
)
@click.option("--every", callback=seconds_of, metavar="TIME", help="Figures of each stretch of so long: 1h, 15m.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="Groups.")
@with_forms
def stats(
    asked: Asked,
    *,
    by: str | None,
    over: float | None,
    every: float | None,
    limit: int,
    forms: tuple[Form, ...],
) -> None:
    """Throughput, failure rate, and percentiles of wait and run time, at most 1 % off."""
    form = form_of(forms)
    if by is not None and every is not None:
        raise Invalid("--by and --every do not go together", hint="a query narrows it: --every 1h name:billing")
    window = window_over(asked.window, over)
    kind = "time" if every is not None else by
    answer = task_stats(asked.store, asked.query, by=kind, width=every, limit=limit, **window)
    if form == "json":
        write_machine(encode(answer) + b"\n", form)
    else:
        _write(asked, answer, kind, form)
    whole(answer.partial)
    found(answer.total.count)


def window_over(window: Window, over: float | None) -> Window:
    """The window, or the time until now."""
    if over is None:
        return window
    if window.get("start") is not None or window.get("end") is not None:
        raise Invalid("--over goes with neither --from nor --to")
    now = time.time()
    over_now: Window = {**window, "start": now - over, "now": now}
    return over_now


def _write(asked: Asked, answer: Stats, by: str | None, form: Form | None) -> None:
    screen = form is None and sys.stdout.isatty()
    if by is None:
        write_rows(_FIGURES, [_row(answer.total)], form, zone=asked.zone)
        if screen and answer.total.states:
            say(", ".join(f"{state} {count:,}" for state, count in answer.total.states.items()))
        return
    heading = Heading(by, "time", least=19) if by == "time" else Heading(by, least=16)
    rows: list[Sequence[Any]] = [[group.group, *_row(group)] for group in answer.groups]
    if screen and by != "time" and answer.more:
        rows.append([f"({answer.more} more)", *[None] * len(_FIGURES)])
    if screen:
        rows.append([None if by == "time" else "all", *_row(answer.total)])
    write_rows([heading, *_FIGURES], rows, form, zone=asked.zone)


def _row(figures: Figures) -> list[Any]:
    return [
        figures.count,
        figures.states.get("FAILURE", 0),
        figures.failure_rate,
        figures.throughput,
        figures.wait.p50,
        figures.wait.p95,
        figures.runtime.p50,
        figures.runtime.p95,
        figures.runtime.p99,
    ]
