"""`flower task`."""

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import Any

import click

from flower.api.columns import COLUMNS, Column, to_plain_value
from flower.api.json_encoder import dump_json
from flower.api.queries import related_tasks
from flower.api.workflow_tree import WorkflowNode, WorkflowTree
from flower.cli.base import CommandContext, query_command
from flower.cli.formatting import format_duration, format_human, format_time
from flower.cli.table import STATE_STYLES, write_output
from flower.cli.terminal import DetailLine, heading_lines, label_lines, print_lines, quote_lines
from flower.errors import NoSuchTask
from flower.fingerprint import compute_fingerprint
from flower.records import Task
from flower.search.tree import Term
from flower.store.protocols import Query, Reader

#: What is shown apart, below the other fields.
_SECTION_COLUMNS = frozenset({"uuid", "name", "state", "hostname", "traceback", "earlier", "attempts", "data"})
#: Ids that are offered if none is that which was asked for.
_MAX_SUGGESTIONS = 5
#: Levels of the tree that are drawn deeper.
_MAX_TREE_DEPTH = 24


@query_command("task")
@click.argument("uuid", metavar="ID")
@click.option("--utc", is_flag=True, help="Times are UTC, not local.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def task(asked: CommandContext, *, uuid: str, as_json: bool) -> None:
    """Everything known of one task: its fields, attempts, traceback and family."""
    known = asked.store.task(uuid)
    if known is None:
        raise NoSuchTask(f"Unknown task '{uuid}'", hint=_suggest_ids(asked.store, uuid))
    family = related_tasks(asked.store, uuid)
    if as_json:
        write_output(dump_json(_to_document(known, family)) + b"\n", "json")
    else:
        print_lines(_detail_lines(known, family, asked.zone))


def _to_document(known: Task, family: WorkflowTree) -> dict[str, Any]:
    failure = compute_fingerprint(known.exception, known.traceback)
    return {
        "task": to_plain_value(known),
        "wait": known.wait,
        "attempts": to_plain_value(known.attempts),
        "failure": to_plain_value(failure),
        "family": to_plain_value(family),
    }


def _suggest_ids(store: Reader, part: str) -> str:
    close = store.tasks(Query(Term("uuid", "contains", part), sort=()), limit=_MAX_SUGGESTIONS)
    ids = ", ".join(task.uuid for task in close)
    return f"there is {ids}" if ids else "no such task was recorded"


def _detail_lines(known: Task, family: WorkflowTree, zone: tzinfo | None) -> Iterator[DetailLine]:
    yield DetailLine(f"{known.name or '(no name)'}  {known.state}", STATE_STYLES.get(known.state, "bold"))
    yield DetailLine(known.uuid, "dim")
    yield DetailLine()
    yield from label_lines(
        [(name, _format_field(column, known, zone)) for name, column in COLUMNS.items() if name not in _SECTION_COLUMNS]
    )
    if known.traceback:
        yield from heading_lines("Traceback")
        yield from quote_lines(known.traceback)
    if known.earlier:
        yield from heading_lines("Attempts")
        yield from _attempt_lines(known, zone)
    if known.data:
        yield from heading_lines("Events of its own")
        for kind, fields in known.data.items():
            yield from label_lines(
                [(f"{kind}.{name}", format_human(value, "any", zone)) for name, value in fields.items()]
            )
    if len(family.nodes) > 1:
        yield from heading_lines("Family" if family.partial is None else f"Family (the first {len(family.nodes)})")
        yield from _tree_lines(family.nodes, known.uuid)


def _format_field(column: Column, known: Task, zone: tzinfo | None) -> str:
    value = column.value(known)
    if column.kind == "time" and value is not None:
        return format_time(value, zone, "milliseconds").replace("T", " ")
    return format_human(value, "text" if column.kind == "integer" else column.kind, zone)


def _attempt_lines(known: Task, zone: tzinfo | None) -> Iterator[DetailLine]:
    for attempt in known.attempts:
        parts = [
            f"{attempt.number + 1}.",
            attempt.state or "running",
            format_human(attempt.started, "time", zone),
            format_human(attempt.runtime, "duration", zone),
            attempt.hostname or "",
            attempt.exception or "",
        ]
        yield DetailLine("  ".join(part for part in parts if part), STATE_STYLES.get(attempt.state or "", ""))


def _tree_lines(nodes: Sequence[WorkflowNode], own: str) -> Iterator[DetailLine]:
    for node in nodes:
        depth = min(node.depth, _MAX_TREE_DEPTH)
        parts = [
            node.name or ("(no name)" if node.recorded else "(not on record)"),
            node.state or "",
            "" if node.offset is None else f"{'-' if node.offset < 0 else '+'}{format_duration(abs(node.offset))}",
            "" if node.runtime is None else f"ran {format_duration(node.runtime)}",
            node.uuid,
            "" if node.orphan_reason is None else f"({node.orphan_reason})",
        ]
        mark = "* " if node.uuid == own else "  "
        stem = f"{'   ' * (depth - 1)}└─ " if depth else ""
        yield DetailLine(
            mark + stem + "  ".join(part for part in parts if part), STATE_STYLES.get(node.state or "", "")
        )
