"""`flower workflows`."""

from typing import Any

import click

from flower.api.queries import workflow_page
from flower.cli.base import (
    CommandContext,
    exit_if_empty,
    exit_if_partial,
    format_options,
    limit_option,
    query_command,
    query_options,
    selected_format,
)
from flower.cli.table import OutputFormat, TableColumn, echo_stderr, write_table
from flower.store.query_results import Workflow

_COLUMNS = (
    TableColumn("started_at", "time", drop_order=2, min_width=19, title="started"),
    TableColumn("state", drop_order=0, min_width=7),
    TableColumn("root_name", drop_order=0, min_width=12, title="root"),
    TableColumn("tasks", "integer", drop_order=0, min_width=5),
    TableColumn("finished", "integer", drop_order=1, min_width=8),
    TableColumn("running", "integer", drop_order=4, min_width=7),
    TableColumn("failed", "integer", drop_order=1, min_width=6),
    TableColumn("duration", "duration", drop_order=3, min_width=8),
    TableColumn("last_event_at", "time", drop_order=5, min_width=19, title="last event"),
    TableColumn("root", drop_order=1, min_width=8, title="id", is_short_id=True),
)


@query_command("workflows")
@query_options
@limit_option(20, "Maximum number of workflows.")
@click.option("--cursor", metavar="TEXT", help="Start after the page that printed this cursor.")
@format_options
def workflows(ctx: CommandContext, *, limit: int, cursor: str | None, output_formats: tuple[OutputFormat, ...]) -> None:
    """List workflows, newest first: chains, groups and chords. QUERY selects their first tasks (roots).

    `flower task ID` shows the tasks of a workflow as a tree."""
    page = workflow_page(ctx.store, ctx.query, limit=limit, cursor=cursor, **ctx.window)
    rows = [_to_row(workflow) for workflow in page.workflows]
    count = write_table(_COLUMNS, rows, selected_format(output_formats), zone=ctx.zone)
    exit_if_partial(page.partial)
    exit_if_empty(count)
    if page.cursor is not None:
        echo_stderr(f"More results: --cursor {page.cursor}")


def _to_row(workflow: Workflow) -> list[Any]:
    root, start, end = workflow.root, workflow.started_at, workflow.last_event_at
    if workflow.failed:
        state = "FAILURE"
    elif workflow.finished == workflow.tasks:
        state = "SUCCESS"
    else:
        state = "STARTED"
    duration = None if start is None or end is None else max(0.0, end - start)
    return [
        start, state, root.name, workflow.tasks, workflow.finished, workflow.running, workflow.failed, duration, end,
        root.uuid,
    ]  # fmt: skip
