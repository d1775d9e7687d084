"""`flower jobs list`, `show` and `stop`."""

from collections.abc import Iterable
from datetime import tzinfo
from typing import Any

import click

from flower.cli.action_base import ActionCommandContext, action_command
from flower.cli.base import (
    CommandContext,
    exit_if_empty,
    format_options,
    limit_option,
    query_command,
    selected_format,
    utc_option,
)
from flower.cli.global_options import HELP_SETTINGS
from flower.cli.table import OutputFormat, TableColumn, echo_stderr, write_table
from flower.errors import Forbidden, NotFound
from flower.store.ledger import Ledger
from flower.store.ledger.jobs import ITEM_OUTCOMES, Job

_JOB_COLUMNS = (
    TableColumn("id", drop_order=0, min_width=12),
    TableColumn("action", drop_order=1, min_width=9),
    TableColumn("state", drop_order=0, min_width=8),
    TableColumn("created_at", "time", drop_order=2, min_width=19, title="created"),
    TableColumn("created_by", drop_order=5, min_width=10, title="created by"),
    TableColumn("total", "integer", drop_order=1, min_width=5),
    *(
        TableColumn(outcome, "integer", drop_order=4, min_width=7, title=outcome.replace("_", " "))
        for outcome in ITEM_OUTCOMES
    ),
    TableColumn("query", drop_order=3, min_width=20),
)
#: The columns of `api.actions.bulk_report.JOB_ITEM_COLUMNS`.
_ITEM_COLUMNS = (
    TableColumn("index", "integer", drop_order=4, min_width=5),
    TableColumn("task", drop_order=0, min_width=36),
    TableColumn("outcome", drop_order=0, min_width=7),
    TableColumn("message", drop_order=1, min_width=30),
    TableColumn("new_task", drop_order=2, min_width=36),
    TableColumn("started_at", "time", drop_order=5, min_width=19, title="started"),
    TableColumn("finished_at", "time", drop_order=3, min_width=19, title="finished"),
)
#: Former spellings, and what replaces them.
_REPLACED = {
    "--start": "flower rerun|revoke|terminate|abort QUERY",
    "start": "flower rerun|revoke|terminate|abort QUERY",
    "--show": "flower jobs show JOB",
    "--stop": "flower jobs stop JOB",
    "--abort": "flower jobs stop JOB",
}


class JobsGroup(click.Group):
    """`flower jobs`: without a subcommand, `list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for word in args:
            name = word.partition("=")[0]
            if name in _REPLACED:
                raise click.UsageError(f"'flower jobs {name}' is replaced by: {_REPLACED[name]}", ctx)
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group("jobs", cls=JobsGroup, context_settings=HELP_SETTINGS)
def jobs() -> None:
    """List, show and stop bulk jobs. Without a subcommand, `flower jobs` is `flower jobs list`.

    `flower rerun`, `revoke`, `terminate` and `abort` with a query create jobs."""


@jobs.add_command
@query_command("list")
@limit_option(20, "Maximum number of jobs.")
@utc_option
@format_options
def job_list(ctx: CommandContext, *, limit: int, output_formats: tuple[OutputFormat, ...]) -> None:
    """List bulk jobs, newest first."""
    count = write_jobs(ctx.ledger.jobs.jobs(limit=limit), selected_format(output_formats), zone=ctx.zone)
    exit_if_empty(count)


@jobs.add_command
@query_command("show")
@click.argument("job", metavar="JOB")
@utc_option
@format_options
def job_show(ctx: CommandContext, *, job: str, output_formats: tuple[OutputFormat, ...]) -> None:
    """Show the outcome of each task of a job."""
    from flower.api.actions.bulk_report import (  # noqa: PLC0415 - not needed for completion
        iter_job_items,
        to_job_item_row,
    )

    _require_job(ctx.ledger, job)
    rows: Any = (list(to_job_item_row(item)) for item in iter_job_items(ctx.ledger, job))
    exit_if_empty(write_table(_ITEM_COLUMNS, rows, selected_format(output_formats), zone=ctx.zone))


@jobs.add_command
@action_command("stop")
@click.argument("job", metavar="JOB")
def job_stop(ctx: ActionCommandContext, *, job: str) -> None:
    """Stop a job: tasks that are not started are not run."""

    async def stop() -> None:
        if ctx.ledger.jobs.request_stop(job) is None:
            _require_job(ctx.ledger, job)

    found = _require_job(ctx.ledger, job)
    if found.finished_at is not None:
        raise Forbidden(f"The job {job} has already ended ({found.state})")
    ctx.run_audited("job.stop", [job], stop)
    echo_stderr(f"The job {job} stops.")


def write_jobs(jobs: Iterable[Job], output_format: OutputFormat | None, *, zone: tzinfo | None) -> int:
    """Write a table of jobs; returns their number."""
    return write_table(_JOB_COLUMNS, [_to_row(job) for job in jobs], output_format, zone=zone)


def _require_job(ledger: Ledger, job_id: str) -> Job:
    job = ledger.jobs.job(job_id)
    if job is None:
        raise NotFound(f"Unknown job '{job_id}'", hint="`flower jobs` lists the ids")
    return job


def _to_row(job: Job) -> list[Any]:
    counts = [job.outcomes.get(outcome, 0) for outcome in ITEM_OUTCOMES]
    return [job.id, job.action, job.state, job.created_at, job.created_by, job.total, *counts, job.query]
