"""`flower task`."""

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import Any

import click

from flower.api.columns import COLUMNS, Column, plain
from flower.api.exporting import encode
from flower.api.families import FamilyNode, FamilyTree
from flower.api.questions import related_tasks
from flower.cli.asking import Asked, asking
from flower.cli.paper import Line, heading, labelled, print_lines, quoted
from flower.cli.sheet import STATES, write_machine
from flower.cli.values import duration, for_people, moment
from flower.errors import NoSuchTask
from flower.fingerprint import fingerprint_of
from flower.records import Task
from flower.search.tree import Term
from flower.store.port import Query, Reader

#: What is shown apart, below the other fields.
_APART = frozenset({"uuid", "name", "state", "hostname", "traceback", "earlier", "attempts", "data"})
#: Ids that are offered if none is that which was asked for.
_OFFERED = 5
#: Levels of the tree that are drawn deeper.
_DEEPEST = 24


@asking("task")
@click.argument("uuid", metavar="ID")
@click.option("--utc", is_flag=True, help="Times are UTC, not local.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def task(asked: Asked, *, uuid: str, as_json: bool) -> None:
    """Everything known of one task: its fields, attempts, traceback and family."""
    known = asked.store.task(uuid)
    if known is None:
        raise NoSuchTask(f"Unknown task '{uuid}'", hint=_offer(asked.store, uuid))
    family = related_tasks(asked.store, uuid)
    if as_json:
        write_machine(encode(_document(known, family)) + b"\n", "json")
    else:
        print_lines(_lines(known, family, asked.zone))


def _document(known: Task, family: FamilyTree) -> dict[str, Any]:
    failure = fingerprint_of(known.exception, known.traceback)
    return {
        "task": plain(known),
        "wait": known.wait,
        "attempts": plain(known.attempts),
        "failure": plain(failure),
        "family": plain(family),
    }


def _offer(store: Reader, part: str) -> str:
    close = store.tasks(Query(Term("uuid", "contains", part), sort=()), limit=_OFFERED)
    ids = ", ".join(task.uuid for task in close)
    return f"there is {ids}" if ids else "no such task was recorded"


def _lines(known: Task, family: FamilyTree, zone: tzinfo | None) -> Iterator[Line]:
    yield Line(f"{known.name or '(no name)'}  {known.state}", STATES.get(known.state, "bold"))
    yield Line(known.uuid, "dim")
    yield Line()
    yield from labelled([(name, _field(column, known, zone)) for name, column in COLUMNS.items() if name not in _APART])
    if known.traceback:
        yield from heading("Traceback")
        yield from quoted(known.traceback)
    if known.earlier:
        yield from heading("Attempts")
        yield from _attempts(known, zone)
    if known.data:
        yield from heading("Events of its own")
        for kind, fields in known.data.items():
            yield from labelled([(f"{kind}.{name}", for_people(value, "any", zone)) for name, value in fields.items()])
    if len(family.nodes) > 1:
        yield from heading("Family" if family.whole else f"Family (the first {len(family.nodes)})")
        yield from _tree(family.nodes, known.uuid)


def _field(column: Column, known: Task, zone: tzinfo | None) -> str:
    value = column.value(known)
    if column.kind == "time" and value is not None:
        return moment(value, zone, "milliseconds").replace("T", " ")
    return for_people(value, "text" if column.kind == "integer" else column.kind, zone)


def _attempts(known: Task, zone: tzinfo | None) -> Iterator[Line]:
    for attempt in known.attempts:
        parts = [
            f"{attempt.number + 1}.",
            attempt.state or "running",
            for_people(attempt.started, "time", zone),
            for_people(attempt.runtime, "duration", zone),
            attempt.hostname or "",
            attempt.exception or "",
        ]
        yield Line("  ".join(part for part in parts if part), STATES.get(attempt.state or "", ""))


def _tree(nodes: Sequence[FamilyNode], own: str) -> Iterator[Line]:
    for node in nodes:
        depth = min(node.depth, _DEEPEST)
        parts = [
            node.name or ("(no name)" if node.known else "(not on record)"),
            node.state or "",
            "" if node.offset is None else f"{'-' if node.offset < 0 else '+'}{duration(abs(node.offset))}",
            "" if node.runtime is None else f"ran {duration(node.runtime)}",
            node.uuid,
            "" if node.orphan is None else f"({node.orphan})",
        ]
        mark = "* " if node.uuid == own else "  "
        stem = f"{'   ' * (depth - 1)}└─ " if depth else ""
        yield Line(mark + stem + "  ".join(part for part in parts if part), STATES.get(node.state or "", ""))
