"""`flower revoke`."""

import click

from flower.cli.acting import Acted, acting
from flower.cli.safe import visible
from flower.errors import Invalid


@acting("revoke")
@click.argument("uuid", metavar="ID")
@click.option("--terminate", is_flag=True, help="End the process that runs it, too.")
@click.option("--signal", default=None, metavar="NAME", help="With --terminate.  [SIGTERM]")
@click.option("--abort", is_flag=True, help="Instead: ask an abortable task to stop.")
def revoke(acted: Acted, *, uuid: str, terminate: bool, signal: str | None, abort: bool) -> None:
    """Tell all workers not to run a task, and print what each said."""
    if abort and (terminate or signal):
        raise Invalid("--abort goes neither with --terminate nor with --signal")
    if signal and not terminate:
        raise Invalid("--signal needs --terminate")
    means = acted.means()
    from flower.api.actions import abort_task, revoke_task, terminate_task  # noqa: PLC0415 - brings Celery in

    if abort:
        told = acted.noted("task.abort", [uuid], lambda: abort_task(means, uuid))
    elif terminate:
        told = acted.noted("task.terminate", [uuid], lambda: terminate_task(means, uuid, signal or "SIGTERM"))
    else:
        told = acted.noted("task.revoke", [uuid], lambda: revoke_task(means, uuid))
    click.echo(visible(told.message))
    for worker, words in told.workers.items():
        click.echo(visible(f"{worker}: {words}"))
