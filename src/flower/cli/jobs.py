"""`flower jobs`."""

import asyncio
import sys
from typing import Any, get_args

import click
import msgspec

from flower.api.actions.outcomes import COLUMNS, all_items, row
from flower.api.actions.plans import Selection, start_job
from flower.api.exporting import encode
from flower.api.questions import task_count
from flower.cli.acting import Acted, acting
from flower.cli.asking import form_of, found, with_forms, with_query
from flower.cli.sheet import Form, Heading, say, write_machine, write_rows
from flower.errors import Invalid, NotFound
from flower.store.ledger.jobs import OUTCOMES, Job, JobAction

_HEADINGS = (
    Heading("id", rank=0, least=12),
    Heading("action", rank=1, least=9),
    Heading("state", rank=0, least=7),
    Heading("created", "time", rank=2, least=19),
    Heading("by", rank=5, least=6),
    Heading("total", "integer", rank=1, least=5),
    *(Heading(outcome, "integer", rank=3, least=7) for outcome in OUTCOMES),
    Heading("query", rank=6, least=20),
)
_ITEMS = (
    Heading("place", "integer", rank=4, least=5),
    Heading("task", rank=0, least=36),
    Heading("outcome", rank=0, least=7),
    Heading("message", rank=1, least=30),
    Heading("new_task", rank=2, least=36),
    Heading("begun", "time", rank=5, least=19),
    Heading("ended", "time", rank=3, least=19),
)


@acting("jobs")
@with_query
@click.option("--start", "action", type=click.Choice(get_args(JobAction)), help="Do this to all that QUERY matches.")
@click.option("--signal", metavar="NAME", help="Of --start terminate.  [SIGTERM]")
@click.option("--dry-run", is_flag=True, help="With --start: count, and tell what would be refused.")
@click.option("--expected", type=click.IntRange(0), metavar="N", help="With --start: only if it is so many tasks.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="With --start: tasks a second.")
@click.option("--show", metavar="JOB", help="What became of each task of this job.")
@click.option("--abort", metavar="JOB", help="Stop this job.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="Jobs in the list.")
@with_forms
def jobs(
    acted: Acted,
    *,
    action: JobAction | None,
    show: str | None,
    abort: str | None,
    limit: int,
    forms: tuple[Form, ...],
    **options: Any,
) -> None:
    """List bulk jobs, see one, stop one, or start one and work it off."""
    if sum(one is not None for one in (action, show, abort)) > 1:
        raise Invalid("--start, --show and --abort do not go together")
    form = form_of(forms)
    if action is not None:
        _start(acted, action, form, **options)
    elif abort is not None:
        acted.noted("job.abort", [abort], lambda: _abort(acted, abort))
    elif show is not None:
        _known(acted, show)
        lines = (list(row(item)) for item in all_items(acted.ledger, show))
        found(write_rows([_ITEMS[place] for place in range(len(COLUMNS))], lines, form, zone=acted.asked.zone))
    else:
        listed = acted.ledger.jobs.jobs(limit=limit)
        found(write_rows(_HEADINGS, [_row(job) for job in listed], form, zone=acted.asked.zone))


def _start(
    acted: Acted,
    action: JobAction,
    form: Form | None,
    *,
    signal: str | None,
    dry_run: bool,
    expected: int | None,
    rate: float | None,
) -> None:
    asked, config = acted.asked, acted.config
    means = acted.means()
    from flower.api.actions.runner import finish_job  # noqa: PLC0415
    from flower.api.actions.stopping import signal_name  # noqa: PLC0415 - brings Celery in

    name = signal_name(signal or "SIGTERM") if action == "terminate" else ""
    selection = Selection(query=asked.query, window=asked.window)
    speed = min(rate or config.bulk_rate, config.bulk_rate)
    if dry_run:
        _plan(acted, action, selection, speed)
        return
    if not asked.query and expected is None:
        count = task_count(asked.store, "").count
        raise Invalid("No query is every task", hint=f"if that is meant, say --expected {count}")

    async def begin() -> Job:
        return start_job(
            asked.store, acted.ledger, action, selection, by=acted.who, limit=config.bulk_limit, rate=speed,
            signal=name, expected=expected,
        )  # fmt: skip

    job = acted.noted("job.start", [], begin)
    say(f"Job {job.id}: {job.total} tasks")
    ended = asyncio.run(finish_job(means, job, _progress))
    write_rows(_HEADINGS, [_row(ended)], form, zone=asked.zone)


def _plan(acted: Acted, action: JobAction, selection: Selection, rate: float) -> None:
    from flower.api.actions.plans import plan_job  # noqa: PLC0415

    plan = plan_job(acted.asked.store, action, selection, limit=acted.config.bulk_limit, rate=rate)
    write_machine(encode(msgspec.to_builtins(plan)) + b"\n", "json")


async def _abort(acted: Acted, job_id: str) -> None:
    if acted.ledger.jobs.abort(job_id) is None:
        raise NotFound(f"There is no job '{job_id}'")


def _known(acted: Acted, job_id: str) -> None:
    if acted.ledger.jobs.job(job_id) is None:
        raise NotFound(f"There is no job '{job_id}'")


def _progress(job: Job) -> None:
    if sys.stderr.isatty():
        ready = job.total - job.outcomes.get("waiting", 0) - job.outcomes.get("begun", 0)
        click.echo(f"\r{ready} of {job.total}", err=True, nl=job.state != "running")


def _row(job: Job) -> list[Any]:
    counts = [job.outcomes.get(outcome, 0) for outcome in OUTCOMES]
    return [job.id, job.action, job.state, job.created, job.by, job.total, *counts, job.query]
