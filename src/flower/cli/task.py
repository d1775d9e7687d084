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
from flower.cli.task_ids import find_task
from flower.cli.terminal import DetailLine, heading_lines, label_lines, print_lines, quote_lines
from flower.fingerprint import compute_fingerprint
from flower.records import Attempt, Task

#: Columns that are shown in the header or in sections of their own.
_SECTION_COLUMNS = frozenset(
    {
        "uuid", "name", "state", "hostname", "traceback", "earlier", "attempts", "data", "lost", "lost_reason",
        "event_times", "source",
        # shown as another column, or as a remark
        "queue_wait", "time_at", "ended_at", "runtime_derived", "double_run",
    }
)  # fmt: skip
_SOURCE_NAMES = {"worker": "the worker", "result_backend": "the result backend", "broker": "the queue of the broker"}
#: Maximum number of levels that are indented.
_MAX_TREE_DEPTH = 24


@query_command("task")
@click.argument("uuid", metavar="ID")
@utc_option
@click.option("--json", "as_json", is_flag=True, help="JSON output.")
def task(ctx: CommandContext, *, uuid: str, as_json: bool) -> None:
    """Show one task: its fields, attempts, traceback and workflow. The first 8 characters of its ID are sufficient."""
    record = find_task(ctx.store, uuid)
    workflow = related_tasks(ctx.store, record.uuid)
    if as_json:
        write_output(dump_json(_to_document(record, workflow)) + b"\n", "json")
    else:
        print_lines(_detail_lines(record, workflow, ctx.zone))


def _to_document(record: Task, workflow: WorkflowTree) -> dict[str, Any]:
    failure = compute_fingerprint(record.exception, record.traceback)
    return {
        "task": to_plain_value(to_column_values(record, RECORD_COLUMNS)),
        "wait": record.wait,
        "backoff": record.backoff,
        "runtime_derived": record.runtime_is_derived,
        "double_run": record.is_double_run,
        "attempts": to_plain_value([to_attempt_row(attempt) for attempt in record.attempts]),
        "failure": to_plain_value(failure),
        "workflow": to_plain_value(workflow),
    }


def _detail_lines(record: Task, workflow: WorkflowTree, zone: tzinfo | None) -> Iterator[DetailLine]:
    state = f"{record.state} (lost)" if record.lost else record.state
    yield DetailLine(f"{record.name or '(no name)'}  {state}", STATE_STYLES.get(state, "bold"))
    yield DetailLine(record.uuid, "dim")
    if record.source:
        yield DetailLine(f"State from {_SOURCE_NAMES.get(record.source, record.source)}", "dim")
    yield from _notice_lines(record, zone)
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


def _notice_lines(record: Task, zone: tzinfo | None) -> Iterator[DetailLine]:
    """What a reader of the fields must know: the state is not proven, the task runs twice, clocks differ."""
    if record.lost:
        yield DetailLine(f"State not known since {format_human(record.lost.since, 'time', zone)}", "yellow")
        yield DetailLine(record.lost.detail, "yellow")
        yield DetailLine(f"Queried: {', '.join(record.lost.queried) or 'nothing'}", "dim")
    if record.is_double_run:
        active = sum(attempt.is_active for attempt in record.attempts)
        yield DetailLine(f"{'Runs' if active > 1 else 'Ran'} twice at the same time", "yellow")
    for name, offset in ((record.hostname, record.clock_offset), (record.client, record.client_offset)):
        if offset:
            direction = "ahead" if offset > 0 else "behind"
            yield DetailLine(
                f"The clock of {name or 'the sender'} is {format_duration(abs(offset))} {direction}; "
                "waits are corrected, times are not",
                "dim",
            )


def _format_field(column: Column, record: Task, zone: tzinfo | None) -> str:
    value = column.value(record)
    if column.kind == "time" and value is not None:
        return format_time(value, zone, "milliseconds").replace("T", " ")[:23]
    text = format_human(value, "text" if column.kind == "integer" else column.kind, zone)
    return f"{text} (from start to end)" if column.name == "runtime" and record.runtime_is_derived else text


def _attempt_lines(record: Task, zone: tzinfo | None) -> Iterator[DetailLine]:
    for attempt in record.attempts:
        parts = [
            f"{attempt.number + 1}." if record.run is None else f"run {attempt.run + 1}, {attempt.number + 1}.",
            attempt.state or _open_outcome(attempt),
            format_human(attempt.started, "time", zone),
            format_human(attempt.runtime, "duration", zone),
            attempt.hostname or "",
            attempt.exception or "",
        ]
        yield DetailLine("  ".join(part for part in parts if part), STATE_STYLES.get(attempt.state or "", ""))


def _open_outcome(attempt: Attempt) -> str:
    if attempt.lost:
        return f"outcome not known ({attempt.lost})"
    return "running" if attempt.started is not None else "waiting"


def _tree_lines(nodes: Sequence[WorkflowNode], shown_uuid: str) -> Iterator[DetailLine]:
    for node in nodes:
        depth = min(node.depth, _MAX_TREE_DEPTH)
        parts = [
            node.name or ("(no name)" if node.recorded else "(not recorded)"),
            f"{node.state} (lost)" if node.lost else node.state or "",
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
