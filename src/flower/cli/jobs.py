"""`flower jobs`."""

import asyncio
import sys
from typing import Any, get_args

import click
import msgspec

from flower.api.actions.bulk_plan import Selection, start_job
from flower.api.actions.bulk_report import JOB_ITEM_COLUMNS, iter_job_items, to_job_item_row
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
    TableColumn("state", drop_order=0, min_width=7),
    TableColumn("created", "time", drop_order=2, min_width=19),
    TableColumn("by", drop_order=5, min_width=6),
    TableColumn("total", "integer", drop_order=1, min_width=5),
    *(TableColumn(outcome, "integer", drop_order=3, min_width=7) for outcome in ITEM_OUTCOMES),
    TableColumn("query", drop_order=6, min_width=20),
)
_ITEM_COLUMNS = (
    TableColumn("place", "integer", drop_order=4, min_width=5),
    TableColumn("task", drop_order=0, min_width=36),
    TableColumn("outcome", drop_order=0, min_width=7),
    TableColumn("message", drop_order=1, min_width=30),
    TableColumn("new_task", drop_order=2, min_width=36),
    TableColumn("begun", "time", drop_order=5, min_width=19),
    TableColumn("ended", "time", drop_order=3, min_width=19),
)


@action_command("jobs")
@query_options
@click.option("--start", "action", type=click.Choice(get_args(JobAction)), help="Do this to all that QUERY matches.")
@click.option("--signal", metavar="NAME", help="Of --start terminate.  [SIGTERM]")
@click.option("--dry-run", is_flag=True, help="With --start: count, and tell what would be refused.")
@click.option("--expected", type=click.IntRange(0), metavar="N", help="With --start: only if it is so many tasks.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="With --start: tasks a second.")
@click.option("--show", metavar="JOB", help="What became of each task of this job.")
@click.option("--abort", metavar="JOB", help="Stop this job.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="Jobs in the list.")
@format_options
def jobs(
    acted: ActionCommandContext,
    *,
    action: JobAction | None,
    show: str | None,
    abort: str | None,
    limit: int,
    forms: tuple[OutputFormat, ...],
    **options: Any,
) -> None:
    """List bulk jobs, see one, stop one, or start one and work it off."""
    if sum(one is not None for one in (action, show, abort)) > 1:
        raise InvalidRequest("--start, --show and --abort do not go together")
    form = selected_format(forms)
    if action is not None:
        _start_bulk_job(acted, action, form, **options)
    elif abort is not None:
        acted.run_audited("job.abort", [abort], lambda: _abort_job(acted, abort))
    elif show is not None:
        _check_job_exists(acted, show)
        lines = (list(to_job_item_row(item)) for item in iter_job_items(acted.ledger, show))
        exit_if_empty(
            write_table(
                [_ITEM_COLUMNS[place] for place in range(len(JOB_ITEM_COLUMNS))], lines, form, zone=acted.command.zone
            )
        )
    else:
        listed = acted.ledger.jobs.jobs(limit=limit)
        exit_if_empty(write_table(_JOB_COLUMNS, [_row(job) for job in listed], form, zone=acted.command.zone))


def _start_bulk_job(
    acted: ActionCommandContext,
    action: JobAction,
    form: OutputFormat | None,
    *,
    signal: str | None,
    dry_run: bool,
    expected: int | None,
    rate: float | None,
) -> None:
    asked, config = acted.command, acted.config
    means = acted.action_dependencies()
    from flower.api.actions.bulk_runner import finish_job  # noqa: PLC0415
    from flower.api.actions.stop import parse_signal  # noqa: PLC0415 - brings Celery in

    name = parse_signal(signal or "SIGTERM") if action == "terminate" else ""
    selection = Selection(query=asked.query, window=asked.window)
    speed = min(rate or config.bulk_rate, config.bulk_rate)
    if dry_run:
        _print_plan(acted, action, selection, speed)
        return
    if not asked.query and expected is None:
        count = task_count(asked.store, "").count
        raise InvalidRequest("No query is every task", hint=f"if that is meant, say --expected {count}")

    async def begin() -> Job:
        return start_job(
            asked.store, acted.ledger, action, selection, by=acted.user, limit=config.bulk_limit, rate=speed,
            signal=name, expected=expected,
        )  # fmt: skip

    job = acted.run_audited("job.start", [], begin)
    echo_stderr(f"Job {job.id}: {job.total} tasks")
    ended = asyncio.run(finish_job(means, job, _print_progress))
    write_table(_JOB_COLUMNS, [_row(ended)], form, zone=asked.zone)


def _print_plan(acted: ActionCommandContext, action: JobAction, selection: Selection, rate: float) -> None:
    from flower.api.actions.bulk_plan import plan_job  # noqa: PLC0415

    plan = plan_job(acted.command.store, action, selection, limit=acted.config.bulk_limit, rate=rate)
    write_output(dump_json(msgspec.to_builtins(plan)) + b"\n", "json")


async def _abort_job(acted: ActionCommandContext, job_id: str) -> None:
    if acted.ledger.jobs.request_stop(job_id) is None:
        raise NotFound(f"There is no job '{job_id}'")


def _check_job_exists(acted: ActionCommandContext, job_id: str) -> None:
    if acted.ledger.jobs.job(job_id) is None:
        raise NotFound(f"There is no job '{job_id}'")


def _print_progress(job: Job) -> None:
    if sys.stderr.isatty():
        ready = job.total - job.outcomes.get("waiting", 0) - job.outcomes.get("in_progress", 0)
        click.echo(f"\r{ready} of {job.total}", err=True, nl=job.state != "running")


def _row(job: Job) -> list[Any]:
    counts = [job.outcomes.get(outcome, 0) for outcome in ITEM_OUTCOMES]
    return [job.id, job.action, job.state, job.created_at, job.created_by, job.total, *counts, job.query]
