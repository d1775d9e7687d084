"""`flower revoke`."""

import click

from flower.api.actions import abort_task, revoke_task, terminate_task
from flower.cli.action_base import ActionCommandContext, action_command
from flower.cli.escaping import escape_control
from flower.errors import InvalidRequest


@action_command("revoke")
@click.argument("uuid", metavar="ID")
@click.option("--terminate", is_flag=True, help="Also terminate the task if it is running.")
@click.option("--signal", default=None, metavar="NAME", help="With --terminate: the signal.  [SIGTERM]")
@click.option("--abort", is_flag=True, help="Abort an abortable task instead of revoking it.")
def revoke(ctx: ActionCommandContext, *, uuid: str, terminate: bool, signal: str | None, abort: bool) -> None:
    """Revoke a task on all workers, and print the reply of each worker."""
    if abort and (terminate or signal):
        raise InvalidRequest("--abort is mutually exclusive with --terminate and --signal")
    if signal and not terminate:
        raise InvalidRequest("--signal requires --terminate")
    dependencies = ctx.action_dependencies()

    if abort:
        result = ctx.run_audited("task.abort", [uuid], lambda: abort_task(dependencies, uuid))
    elif terminate:
        result = ctx.run_audited(
            "task.terminate", [uuid], lambda: terminate_task(dependencies, uuid, signal or "SIGTERM")
        )
    else:
        result = ctx.run_audited("task.revoke", [uuid], lambda: revoke_task(dependencies, uuid))
    click.echo(escape_control(result.message))
    for worker, reply in result.replies.items():
        click.echo(escape_control(f"{worker}: {reply}"))
