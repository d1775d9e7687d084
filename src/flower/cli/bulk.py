"""Actions on the tasks of a query or a list of ids: selection, preview, confirmation and execution of the job."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from flower.api.json_encoder import dump_json
from flower.cli.action_base import ActionCommandContext, require_broker
from flower.cli.base import EXIT_EMPTY, EXIT_FAILED, exit_if_empty, format_options, window_options
from flower.cli.formatting import format_duration
from flower.cli.jobs import write_jobs
from flower.cli.table import STATE_STYLES, OutputFormat, echo_stderr, write_output
from flower.cli.task_ids import find_task, is_query, shorten_ids
from flower.cli.terminal import DetailLine, print_lines
from flower.errors import InvalidRequest, NoSuchTask
from flower.store.ledger.jobs import Job, JobAction

if TYPE_CHECKING:
    from flower.api.actions.bulk_plan import JobPlan, Selection

VERBS: Final[dict[JobAction, str]] = {
    "rerun": "Re-run",
    "revoke": "Revoke",
    "terminate": "Terminate",
    "abort": "Abort",
}
#: Outcomes of a task of a job that are not errors.
_GOOD_OUTCOMES = ("done", "skipped")


def selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument QUERY, the window, and the options of a job."""
    command = format_options(command)
    command = click.option(
        "--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="With a query: maximum tasks per second."
    )(command)
    command = click.option(
        "--expected", type=click.IntRange(0), metavar="N", help="Confirm, but fail unless the query matches N tasks."
    )(command)
    command = click.option("-y", "--yes", is_flag=True, help="Confirm an action on the tasks of a query.")(command)
    command = click.option("--dry-run", is_flag=True, help="Show what would be done.")(command)
    command = window_options("Only tasks since then: 1h, 7d, today, 2026-11-22T10:15.", "Only tasks until then.")(
        command
    )
    return click.argument("query", nargs=-1, type=click.UNPROCESSED, metavar="QUERY|ID…")(command)


def select_tasks(ctx: ActionCommandContext, *, with_unrecorded: bool = False) -> "Selection":
    """The tasks of the argument: ids or the beginnings of ids, otherwise a query. Raises InvalidRequest without an
    argument, and NoSuchTask for an id that is not recorded, unless `with_unrecorded`."""
    from flower.api.actions.bulk_plan import Selection  # noqa: PLC0415 - not needed for completion

    words: tuple[str, ...] = click.get_current_context().params["query"]
    store, window = ctx.command.store, ctx.command.window
    has_window = window.get("start") is not None or window.get("end") is not None
    if not words:
        raise InvalidRequest(
            "QUERY or an ID is required", hint="for example state:FAILURE, or 2b8726da; '*' is refused"
        )
    if is_query(store, words):
        return Selection(query=ctx.command.query, window=window)
    if has_window:
        raise InvalidRequest("--since and --until require a query", hint="for example name:billing.charge")
    ids: list[str] = []
    for word in words:
        try:
            ids.append(find_task(store, word).uuid)
        except NoSuchTask as error:
            if not with_unrecorded:
                hint = error.hint or f"an id or a query is expected, for example name:{word}"
                raise NoSuchTask(error.message, hint=hint) from None
            ids.append(word)
    return Selection(ids=ids)


def run_bulk_action(
    ctx: ActionCommandContext,
    action: JobAction,
    selection: "Selection",
    output_format: OutputFormat | None,
    *,
    dry_run: bool,
    yes: bool,
    expected: int | None,
    rate: float | None,
    signal: str = "",
) -> None:
    """Preview the action, or confirm it, execute it as a job and print the result."""
    import asyncio  # noqa: PLC0415 - not needed for completion

    from flower import cluster  # noqa: PLC0415 - not needed for completion
    from flower.api.actions.bulk_plan import plan_job, start_job, verify_count  # noqa: PLC0415 - not needed for completion
    from flower.api.actions.bulk_runner import finish_job  # noqa: PLC0415 - not needed for completion

    config, store = ctx.config, ctx.command.store
    job_rate = min(rate or config.bulk_rate, config.bulk_rate)

    def plan() -> "JobPlan":
        predicate: dict[str, Any] = {}
        if action == "abort":
            app = ctx.action_dependencies().app
            predicate = {"is_abortable": lambda name: cluster.task_registry.is_abortable(app, name)}
        return plan_job(store, action, selection, limit=config.bulk_limit, rate=job_rate, **predicate)

    if dry_run:
        planned = plan()
        write_plan(planned, selection, output_format)
        exit_if_empty(planned.count)
        return
    if selection.ids is None and not yes and expected is None:
        preview = plan()
        _confirm(preview, selection)
        expected = preview.count
    dependencies = ctx.action_dependencies()

    async def start() -> Job:
        verify_count(store, selection, limit=config.bulk_limit, expected=expected)
        # A job on another broker than that of the workers would be continued by a server, task by task.
        require_broker(dependencies.app)
        return start_job(
            store, ctx.ledger, action, selection, by=ctx.user, limit=config.bulk_limit, rate=job_rate, signal=signal,
            expected=expected,
        )  # fmt: skip

    job = ctx.run_audited("job.create", [], start)
    echo_stderr(f"Job {job.id}: {_tasks(job.total)}")
    finished = asyncio.run(finish_job(dependencies, job, _print_progress))
    write_jobs([finished], output_format, zone=ctx.command.zone)
    if any(count for outcome, count in finished.outcomes.items() if outcome not in _GOOD_OUTCOMES):
        echo_stderr(f"Not done for all tasks; the reasons: flower jobs show {job.id}")
        raise click.exceptions.Exit(EXIT_FAILED)


def write_plan(plan: "JobPlan", selection: "Selection", output_format: OutputFormat | None) -> None:
    """Lines on a terminal, otherwise JSON."""
    if output_format is not None or not sys.stdout.isatty():
        write_output(dump_json(msgspec.to_builtins(plan)) + b"\n", "json")
        return
    lines = [DetailLine(_summary(plan, selection), "bold")]
    lines += [
        DetailLine(f"  {count:>7,}  {state}", STATE_STYLES.get(state, "")) for state, count in plan.states.items()
    ]
    for excluded in plan.excluded:
        example = ", ".join(shorten_ids(excluded.tasks).get(uuid, uuid) for uuid in excluded.tasks)
        lines.append(DetailLine(f"  {excluded.count:>7,}  left out, {excluded.reason}: {example}", "yellow"))
    if plan.workflow_task_count:
        lines.append(DetailLine(_workflow_note(plan.workflow_task_count), "yellow"))
    lines.append(DetailLine(f"At most {plan.rate:g} tasks/s: {format_duration(plan.min_duration)} or more."))
    lines.append(DetailLine())
    short = shorten_ids(task.uuid for task in plan.sample)
    for task in plan.sample:
        text = f"  {short.get(task.uuid, task.uuid)}  {task.state or 'not recorded':8}  {task.name or ''}"
        lines.append(DetailLine(text, STATE_STYLES.get(task.state or "", "")))
    if plan.count > len(plan.sample):
        lines.append(DetailLine(f"  … and {plan.count - len(plan.sample):,} more"))
    print_lines([*lines, DetailLine(), DetailLine("Dry run: nothing was changed.")])


def _summary(plan: "JobPlan", selection: "Selection") -> str:
    source = "" if selection.query is None else f": {selection.query}"
    return f"{VERBS[plan.action]} {_tasks(plan.count)}{source}"


def _tasks(count: int) -> str:
    return f"{count:,} task{'' if count == 1 else 's'}"


def _workflow_note(count: int) -> str:
    verb = "belongs" if count == 1 else "belong"
    return f"{_tasks(count)} {verb} to a workflow: later steps (chain, chord, callbacks) are not sent again."


def _confirm(plan: "JobPlan", selection: "Selection") -> None:
    """Request a confirmation on a terminal. Raises InvalidRequest elsewhere."""
    if not plan.count:
        return  # reported when the job is created
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        hint = "--dry-run shows them, --yes confirms; --expected N confirms exactly N tasks"
        raise InvalidRequest(f"{VERBS[plan.action]} of {_tasks(plan.count)} requires a confirmation", hint=hint)
    for excluded in plan.excluded:
        echo_stderr(f"{_tasks(excluded.count)} will be left out: {excluded.reason}")
    if plan.workflow_task_count:
        echo_stderr(_workflow_note(plan.workflow_task_count))
    if not click.confirm(f"{_summary(plan, selection)}\nConfirm?", err=True):
        echo_stderr("Nothing was changed.")
        raise click.exceptions.Exit(EXIT_EMPTY)


def _print_progress(job: Job) -> None:
    if sys.stderr.isatty():
        finished = job.total - job.outcomes.get("waiting", 0) - job.outcomes.get("in_progress", 0)
        click.echo(f"\r{finished} of {job.total}", err=True, nl=job.state != "running")
