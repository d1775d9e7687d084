"""`flower revoke`."""

import click

from flower.cli.action_base import ActionCommandContext, action_command
from flower.cli.escaping import escape_control
from flower.errors import InvalidRequest


@action_command("revoke")
@click.argument("uuid", metavar="ID")
@click.option("--terminate", is_flag=True, help="End the process that runs it, too.")
@click.option("--signal", default=None, metavar="NAME", help="With --terminate.  [SIGTERM]")
@click.option("--abort", is_flag=True, help="Instead: ask an abortable task to stop.")
def revoke(acted: ActionCommandContext, *, uuid: str, terminate: bool, signal: str | None, abort: bool) -> None:
    """Tell all workers not to run a task, and print what each said."""
    if abort and (terminate or signal):
        raise InvalidRequest("--abort goes neither with --terminate nor with --signal")
    if signal and not terminate:
        raise InvalidRequest("--signal needs --terminate")
    means = acted.action_dependencies()
    from flower.api.actions import abort_task, revoke_task, terminate_task  # noqa: PLC0415 - brings Celery in

    if abort:
        told = acted.run_audited("task.abort", [uuid], lambda: abort_task(means, uuid))
    elif terminate:
        told = acted.run_audited("task.terminate", [uuid], lambda: terminate_task(means, uuid, signal or "SIGTERM"))
    else:
        told = acted.run_audited("task.revoke", [uuid], lambda: revoke_task(means, uuid))
    click.echo(escape_control(told.message))
    for worker, words in told.replies.items():
        click.echo(escape_control(f"{worker}: {words}"))
