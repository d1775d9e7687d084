"""`flower revoke`, `flower terminate` and `flower abort`."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import click
import msgspec

from flower.api.json_encoder import dump_json
from flower.cli.action_base import ActionCommandContext, action_command
from flower.cli.base import selected_format
from flower.cli.bulk import run_bulk_action, select_tasks, selection_options
from flower.cli.escaping import escape_control
from flower.cli.table import OutputFormat, write_output
from flower.errors import InvalidRequest
from flower.store.ledger.jobs import JobAction

if TYPE_CHECKING:
    from flower.api.actions.models import ActionContext, WorkerReplies

_force_option = click.option("--force", is_flag=True, help="Accept ids that are not recorded.")
_signal_option = click.option("--signal", metavar="NAME", help="The signal.  [SIGTERM]")


@action_command("revoke")
@selection_options
@_force_option
@click.option("--terminate", is_flag=True, hidden=True)
@click.option("--signal", metavar="NAME", hidden=True)
@click.option("--abort", is_flag=True, hidden=True)
def revoke(ctx: ActionCommandContext, *, terminate: bool, signal: str | None, abort: bool, **options: Any) -> None:
    """Revoke tasks: workers skip them. Prints the reply of each worker.

    QUERY|ID… is one id, several, or a query; the first 8 characters of an id are sufficient. A query requires a
    confirmation: a reply on a terminal, or --yes.

    \b
    flower revoke -A proj 2b8726da
    flower revoke -A proj state:RECEIVED name:shop.report --dry-run"""
    if abort and (terminate or signal):
        raise InvalidRequest("--abort is mutually exclusive with --terminate and --signal")
    if signal and not terminate:
        raise InvalidRequest("--signal requires --terminate")
    _stop_tasks(ctx, "abort" if abort else "terminate" if terminate else "revoke", signal, **options)


@action_command("terminate")
@selection_options
@_force_option
@_signal_option
def terminate(ctx: ActionCommandContext, *, signal: str | None, **options: Any) -> None:
    """Revoke tasks, and send a signal to the worker processes that run them.

    QUERY|ID… is one id, several, or a query; the first 8 characters of an id are sufficient. A query requires a
    confirmation: a reply on a terminal, or --yes.

    \b
    flower terminate -A proj 2b8726da --signal SIGKILL
    flower terminate -A proj is:running name:shop.report --dry-run"""
    _stop_tasks(ctx, "terminate", signal, **options)


@action_command("abort")
@selection_options
@_force_option
def abort(ctx: ActionCommandContext, **options: Any) -> None:
    """Abort abortable tasks (celery.contrib.abortable), which check for it themselves.

    QUERY|ID… is one id, several, or a query; the first 8 characters of an id are sufficient. A query requires a
    confirmation: a reply on a terminal, or --yes.

    \b
    flower abort -A proj 2b8726da
    flower abort -A proj is:running name:shop.report --dry-run"""
    _stop_tasks(ctx, "abort", None, **options)


def _stop_tasks(
    ctx: ActionCommandContext,
    action: JobAction,
    signal: str | None,
    *,
    force: bool,
    dry_run: bool,
    output_formats: tuple[OutputFormat, ...],
    **options: Any,
) -> None:
    from flower.api.actions.stop import parse_signal  # noqa: PLC0415 - not needed for completion

    output_format = selected_format(output_formats)
    signal_name = parse_signal(signal or "SIGTERM") if action == "terminate" else ""
    selection = select_tasks(ctx, with_unrecorded=force)
    if dry_run or selection.ids is None or len(selection.ids) > 1:
        run_bulk_action(ctx, action, selection, output_format, dry_run=dry_run, signal=signal_name, **options)
        return
    (uuid,) = selection.ids
    dependencies = ctx.action_dependencies()
    result = ctx.run_audited(f"task.{action}", [uuid], lambda: _stop_task(action)(dependencies, uuid, signal_name))
    if output_format is not None:
        write_output(dump_json(msgspec.to_builtins(result)) + b"\n", "json")
        return
    click.echo(escape_control(result.message))
    for worker, reply in result.replies.items():
        click.echo(escape_control(f"{worker}: {reply}"))


def _stop_task(action: JobAction) -> "Callable[[ActionContext, str, str], Coroutine[Any, Any, WorkerReplies]]":
    from flower.api.actions import abort_task, revoke_task, terminate_task  # noqa: PLC0415 - not needed for completion

    if action == "terminate":
        return terminate_task
    stop = abort_task if action == "abort" else revoke_task
    return lambda dependencies, uuid, signal: stop(dependencies, uuid)
