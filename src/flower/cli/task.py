"""`flower task`."""

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import Any

import click

from flower.api.columns import COLUMNS, RECORD_COLUMNS, Column, to_attempt_row, to_plain_value
from flower.api.exporter import to_column_values
from flower.api.json_encoder import dump_json
from flower.api.queries import related_tasks
from flower.api.workflow_tree import WorkflowNode, WorkflowTree
from flower.cli.base import CommandContext, query_command, utc_option
from flower.cli.formatting import format_duration, format_human, format_time
from flower.cli.table import STATE_STYLES, write_output
from flower.cli.terminal import DetailLine, heading_lines, label_lines, print_lines, quote_lines
from flower.errors import NoSuchTask
from flower.fingerprint import compute_fingerprint
from flower.records import Task
from flower.search.tree import Term
from flower.store.protocols import Query, Reader

#: Columns that are shown in the header or in sections of their own.
_SECTION_COLUMNS = frozenset({"uuid", "name", "state", "hostname", "traceback", "earlier", "attempts", "data"})
#: Maximum number of similar ids in the hint for an unknown id.
_MAX_SUGGESTIONS = 5
#: Maximum number of levels that are indented.
_MAX_TREE_DEPTH = 24


@query_command("task")
@click.argument("uuid", metavar="ID")
@utc_option
@click.option("--json", "as_json", is_flag=True, help="JSON output.")
def task(ctx: CommandContext, *, uuid: str, as_json: bool) -> None:
    """Show one task: its fields, attempts, traceback and workflow."""
    record = ctx.store.task(uuid)
    if record is None:
        raise NoSuchTask(f"Unknown task '{uuid}'", hint=_suggest_ids(ctx.store, uuid))
    workflow = related_tasks(ctx.store, uuid)
    if as_json:
        write_output(dump_json(_to_document(record, workflow)) + b"\n", "json")
    else:
        print_lines(_detail_lines(record, workflow, ctx.zone))


def _to_document(record: Task, workflow: WorkflowTree) -> dict[str, Any]:
    failure = compute_fingerprint(record.exception, record.traceback)
    return {
        "task": to_plain_value(to_column_values(record, RECORD_COLUMNS)),
        "wait": record.wait,
        "attempts": to_plain_value([to_attempt_row(attempt) for attempt in record.attempts]),
        "failure": to_plain_value(failure),
        "workflow": to_plain_value(workflow),
    }


def _suggest_ids(store: Reader, part: str) -> str:
    similar = store.tasks(Query(Term("uuid", "contains", part), sort=()), limit=_MAX_SUGGESTIONS)
    ids = ", ".join(task.uuid for task in similar)
    return f"similar ids: {ids}" if ids else ""


def _detail_lines(record: Task, workflow: WorkflowTree, zone: tzinfo | None) -> Iterator[DetailLine]:
    yield DetailLine(f"{record.name or '(no name)'}  {record.state}", STATE_STYLES.get(record.state, "bold"))
    yield DetailLine(record.uuid, "dim")
    yield DetailLine()
    yield from label_lines(
        [
            (name, _format_field(column, record, zone))
            for name, column in COLUMNS.items()
            if name not in _SECTION_COLUMNS
        ]
    )
    if record.traceback:
        yield from heading_lines("Traceback")
        yield from quote_lines(record.traceback)
    if record.earlier:
        yield from heading_lines("Attempts")
        yield from _attempt_lines(record, zone)
    if record.data:
        yield from heading_lines("Custom events")
        for event_type, fields in record.data.items():
            yield from label_lines(
                [(f"{event_type}.{name}", format_human(value, "any", zone)) for name, value in fields.items()]
            )
    if len(workflow.nodes) > 1:
        yield from heading_lines(
            "Workflow" if workflow.partial is None else f"Workflow (first {len(workflow.nodes)} tasks)"
        )
        yield from _tree_lines(workflow.nodes, record.uuid)


def _format_field(column: Column, record: Task, zone: tzinfo | None) -> str:
    value = column.value(record)
    if column.kind == "time" and value is not None:
        return format_time(value, zone, "milliseconds").replace("T", " ")
    return format_human(value, "text" if column.kind == "integer" else column.kind, zone)


def _attempt_lines(record: Task, zone: tzinfo | None) -> Iterator[DetailLine]:
    for attempt in record.attempts:
        parts = [
            f"{attempt.number + 1}.",
            attempt.state or "running",
            format_human(attempt.started, "time", zone),
            format_human(attempt.runtime, "duration", zone),
            attempt.hostname or "",
            attempt.exception or "",
        ]
        yield DetailLine("  ".join(part for part in parts if part), STATE_STYLES.get(attempt.state or "", ""))


def _tree_lines(nodes: Sequence[WorkflowNode], shown_uuid: str) -> Iterator[DetailLine]:
    for node in nodes:
        depth = min(node.depth, _MAX_TREE_DEPTH)
        parts = [
            node.name or ("(no name)" if node.recorded else "(not recorded)"),
            node.state or "",
            "" if node.offset is None else f"{'-' if node.offset < 0 else '+'}{format_duration(abs(node.offset))}",
            "" if node.runtime is None else f"ran {format_duration(node.runtime)}",
            node.uuid,
            "" if node.orphan_reason is None else f"({node.orphan_reason})",
        ]
        mark = "* " if node.uuid == shown_uuid else "  "
        stem = f"{'   ' * (depth - 1)}└─ " if depth else ""
        yield DetailLine(
            mark + stem + "  ".join(part for part in parts if part), STATE_STYLES.get(node.state or "", "")
        )
