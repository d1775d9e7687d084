"""`flower failures`."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click
import msgspec

from flower.api.exporting import encode
from flower.api.failure_states import STATUSES, FailureRow, failure_row, failure_rows
from flower.cli.asking import Asked, asking, form_of, found, whole, with_forms, with_query
from flower.cli.durations import seconds_of
from flower.cli.paper import Line, heading, labelled, print_lines, quoted
from flower.cli.sheet import Form, Heading, say, write_machine, write_rows
from flower.cli.stats import window_over
from flower.cli.values import for_people
from flower.errors import Invalid
from flower.records import Task
from flower.store.answers import Value

_HEADINGS = (
    Heading("failure", rank=0, least=16),
    Heading("status", rank=1, least=9),
    Heading("count", "integer", rank=0, least=6),
    Heading("first", "time", rank=6, least=19),
    Heading("last", "time", rank=3, least=19),
    Heading("trend", rank=2, least=12),
    Heading("exception", rank=0, least=14),
    Heading("message", rank=1, least=20),
    Heading("frame", rank=4, least=20),
    Heading("types", rank=5, least=16),
    Heading("workers", rank=7, least=16),
)
_BARS = " ▁▂▃▄▅▆▇█"
#: Stretches of time that a trend has, about.
_TREND = 12
#: Tasks that are shown of one group.
_EXAMPLES = 10


@asking("failures")
@with_query
@click.option(
    "--status",
    multiple=True,
    metavar="STATUS",
    help=f"Only groups that are {', '.join(STATUSES[:-1])} or {STATUSES[-1]}.",
)
@click.option("--group", metavar="ID", help="Only this group, and all of it.")
@click.option(
    "--over", callback=seconds_of, metavar="TIME", help="Only what was received in so long until now: 24h, 7d."
)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="Groups.")
@with_forms
def failures(
    asked: Asked,
    *,
    status: tuple[str, ...],
    group: str | None,
    over: float | None,
    limit: int,
    forms: tuple[Form, ...],
) -> None:
    """Failures, those of one class, message (numbers and ids masked) and place in the code together."""
    form = form_of(forms)
    window = window_over(asked.window, over)
    if group is not None:
        if form not in (None, "json"):
            raise Invalid(f"--group does not go with --{form}", hint=f"write flower tasks --{form} failure:={group}")
        if status:
            raise Invalid("--status does not go with --group", hint="the group tells its status")
        row, detail = failure_row(
            asked.store, asked.ledger, group, asked.query, buckets=_TREND, limit=_EXAMPLES, **window
        )
        if form == "json":
            write_machine(encode(msgspec.structs.replace(detail, group=row)) + b"\n", form)
        else:
            print_lines(_lines(asked, row, detail.tasks))
        return
    answer = failure_rows(asked.store, asked.ledger, asked.query, status=status, limit=limit, buckets=_TREND, **window)
    if form == "json":
        write_machine(encode(answer) + b"\n", form)
    else:
        write_rows(_HEADINGS, [_row(one, form) for one in answer.groups], form, zone=asked.zone)
    whole(answer.partial)
    found(len(answer.groups))
    if answer.more:
        say(f"There are {answer.more:,} more groups: --limit")


def _row(one: FailureRow, form: Form | None) -> list[Any]:
    screen = form is None and sys.stdout.isatty()
    mark = one.fingerprint
    trend = bars(one.trend) if screen else " ".join(map(str, one.trend))
    return [
        mark.id, one.status, one.count, one.first, one.last, trend, mark.exception, mark.message, mark.frame,
        _values(one.types), _values(one.workers),
    ]  # fmt: skip


def bars(counts: Sequence[int]) -> str:
    """A small picture of these numbers; what is not nothing can be seen."""
    most = max(counts, default=0)
    return "".join(_BARS[-(-count * 8 // most) if most else 0] for count in counts)


def _values(values: Sequence[Value]) -> str:
    return ", ".join(f"{value.value or '?'} ({value.count})" for value in values)


def _standing(asked: Asked, one: FailureRow) -> str:
    """The status, and what somebody said: `muted by ann, 2026-11-22 10:15:00, until …: SHOP-311`."""
    note = one.note
    if note is None:
        return one.status
    said = f"by {note.by}, {for_people(note.at, 'time', asked.zone)}"
    if note.until is not None:
        said += f", until {for_people(note.until, 'time', asked.zone)}"
    return f"{one.status} ({said}{': ' if note.comment else ''}{note.comment})"


def _lines(asked: Asked, one: FailureRow, latest: Sequence[Task]) -> Iterator[Line]:
    mark = one.fingerprint
    yield Line(mark.exception, "red")
    yield Line(mark.message)
    yield Line()
    yield from labelled(
        [
            ("failure", mark.id),
            ("status", _standing(asked, one)),
            ("frame", mark.frame or ""),
            ("count", f"{one.count:,}"),
            ("first", for_people(one.first, "time", asked.zone)),
            ("last", for_people(one.last, "time", asked.zone)),
            ("first seen", for_people(one.first_seen, "time", asked.zone)),
            ("trend", " ".join(map(str, one.trend))),
            ("types", _values(one.types)),
            ("workers", _values(one.workers)),
        ]
    )
    example = next((task.traceback for task in latest if task.traceback), None)
    if example:
        yield from heading("A traceback of it")
        yield from quoted(example)
    yield from heading("The latest")
    for task in latest:
        parts = [for_people(task.received, "time", asked.zone), task.state, task.name or "", task.uuid]
        yield Line("  ".join(part for part in parts if part))
