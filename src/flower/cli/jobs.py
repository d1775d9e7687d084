"""`flower jobs`."""

import asyncio
import sys
from typing import Any, get_args

import click
import msgspec

from flower.api.actions.bulk_plan import Selection, plan_job, start_job
from flower.api.actions.bulk_report import iter_job_items, to_job_item_row
from flower.api.actions.bulk_runner import finish_job
from flower.api.actions.stop import parse_signal
from flower.api.json_encoder import dump_json
from flower.api.queries import task_count
from flower.cli.action_base import ActionCommandContext, action_command
from flower.cli.base import exit_if_empty, format_options, query_options, selected_format
from flower.cli.table import OutputFormat, TableColumn, echo_stderr, write_output, write_table
from flower.errors import InvalidRequest, NotFound
from flower.store.ledger.jobs import ITEM_OUTCOMES, Job, JobAction

_JOB_COLUMNS = (
    TableColumn("id", drop_order=0, min_width=12),
    TableColumn("action", drop_order=1, min_width=9),
    TableColumn("state", drop_order=0, min_width=8),
    TableColumn("created_at", "time", drop_order=2, min_width=19),
    TableColumn("created_by", drop_order=5, min_width=10),
    TableColumn("total", "integer", drop_order=1, min_width=5),
    *(TableColumn(outcome, "integer", drop_order=3, min_width=7) for outcome in ITEM_OUTCOMES),
    TableColumn("query", drop_order=6, min_width=20),
)
#: The columns of `api.actions.bulk_report.JOB_ITEM_COLUMNS`.
_ITEM_COLUMNS = (
    TableColumn("index", "integer", drop_order=4, min_width=5),
    TableColumn("task", drop_order=0, min_width=36),
    TableColumn("outcome", drop_order=0, min_width=7),
    TableColumn("message", drop_order=1, min_width=30),
    TableColumn("new_task", drop_order=2, min_width=36),
    TableColumn("started_at", "time", drop_order=5, min_width=19),
    TableColumn("finished_at", "time", drop_order=3, min_width=19),
)


@action_command("jobs")
@query_options
@click.option("--start", "action", type=click.Choice(get_args(JobAction)), help="Start a job for all tasks of QUERY.")
@click.option("--signal", metavar="NAME", help="With --start terminate: the signal.  [SIGTERM]")
@click.option("--dry-run", is_flag=True, help="With --start: preview without starting.")
@click.option(
    "--expected", type=click.IntRange(0), metavar="N", help="With --start: fail unless QUERY matches N tasks."
)
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="With --start: maximum tasks per second."
)
@click.option("--show", metavar="JOB", help="Show the outcome of each task of this job.")
@click.option("--stop", metavar="JOB", help="Stop this job.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="Maximum number of jobs."
)
@format_options
def jobs(
    ctx: ActionCommandContext,
    *,
    action: JobAction | None,
    show: str | None,
    stop: str | None,
    limit: int,
    output_formats: tuple[OutputFormat, ...],
    **options: Any,
) -> None:
    """List bulk jobs, show or stop one, or start one and wait until it is finished."""
    if sum(option is not None for option in (action, show, stop)) > 1:
        raise InvalidRequest("--start, --show and --stop are mutually exclusive")
    output_format = selected_format(output_formats)
    if action is not None:
        _start_bulk_job(ctx, action, output_format, **options)
    elif ctx.command.query or any(options.values()):
        raise InvalidRequest("QUERY, --signal, --dry-run, --expected and --rate require --start")
    elif stop is not None:
        ctx.run_audited("job.stop", [stop], lambda: _stop_job(ctx, stop))
    elif show is not None:
        _check_job_exists(ctx, show)
        rows: Any = (list(to_job_item_row(item)) for item in iter_job_items(ctx.ledger, show))
        exit_if_empty(write_table(_ITEM_COLUMNS, rows, output_format, zone=ctx.command.zone))
    else:
        rows = [_to_row(job) for job in ctx.ledger.jobs.jobs(limit=limit)]
        exit_if_empty(write_table(_JOB_COLUMNS, rows, output_format, zone=ctx.command.zone))


def _start_bulk_job(
    ctx: ActionCommandContext,
    action: JobAction,
    output_format: OutputFormat | None,
    *,
    signal: str | None,
    dry_run: bool,
    expected: int | None,
    rate: float | None,
) -> None:
    command, config = ctx.command, ctx.config
    dependencies = ctx.action_dependencies()
    signal_name = parse_signal(signal or "SIGTERM") if action == "terminate" else ""
    selection = Selection(query=command.query, window=command.window)
    job_rate = min(rate or config.bulk_rate, config.bulk_rate)
    if dry_run:
        plan = plan_job(command.store, action, selection, limit=config.bulk_limit, rate=job_rate)
        write_output(dump_json(msgspec.to_builtins(plan)) + b"\n", "json")
        return
    if not command.query and expected is None:
        count = task_count(command.store, "").count
        raise InvalidRequest("Without a query the job includes every task", hint=f"confirm with --expected {count}")

    async def start() -> Job:
        return start_job(
            command.store, ctx.ledger, action, selection, by=ctx.user, limit=config.bulk_limit, rate=job_rate,
            signal=signal_name, expected=expected,
        )  # fmt: skip

    job = ctx.run_audited("job.create", [], start)
    echo_stderr(f"Job {job.id}: {job.total} tasks")
    finished = asyncio.run(finish_job(dependencies, job, _print_progress))
    write_table(_JOB_COLUMNS, [_to_row(finished)], output_format, zone=command.zone)


async def _stop_job(ctx: ActionCommandContext, job_id: str) -> None:
    if ctx.ledger.jobs.request_stop(job_id) is None:
        raise NotFound(f"Unknown job '{job_id}'", hint="`flower jobs` lists the ids")


def _check_job_exists(ctx: ActionCommandContext, job_id: str) -> None:
    if ctx.ledger.jobs.job(job_id) is None:
        raise NotFound(f"Unknown job '{job_id}'", hint="`flower jobs` lists the ids")


def _print_progress(job: Job) -> None:
    if sys.stderr.isatty():
        finished = job.total - job.outcomes.get("waiting", 0) - job.outcomes.get("in_progress", 0)
        click.echo(f"\r{finished} of {job.total}", err=True, nl=job.state != "running")


def _to_row(job: Job) -> list[Any]:
    counts = [job.outcomes.get(outcome, 0) for outcome in ITEM_OUTCOMES]
    return [job.id, job.action, job.state, job.created_at, job.created_by, job.total, *counts, job.query]
