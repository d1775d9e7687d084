"""`flower rerun`."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec

from flower.api.json_encoder import dump_json
from flower.cli.action_base import ActionCommandContext, action_command
from flower.cli.base import selected_format
from flower.cli.bulk import run_bulk_action, select_tasks, selection_options
from flower.cli.table import OutputFormat, echo_stderr, write_output
from flower.cli.terminal import DetailLine, label_lines, print_lines
from flower.errors import InvalidRequest

if TYPE_CHECKING:
    from flower.api.actions.models import SentTask


@action_command("rerun")
@selection_options
@click.option("--args", "args", metavar="JSON", help="With one ID: positional arguments, a JSON array.")
@click.option("--kwargs", "kwargs", metavar="JSON", help="With one ID: keyword arguments, a JSON object.")
@click.option("--queue", metavar="NAME", help="With one ID: send the task to this queue.")
@click.option("--priority", type=click.IntRange(0, 255), help="With one ID: message priority.")
@click.option("--countdown", type=click.FloatRange(0), metavar="SECONDS", help="With one ID: delay the task.")
def rerun(
    ctx: ActionCommandContext,
    *,
    args: str | None,
    kwargs: str | None,
    queue: str | None,
    priority: int | None,
    countdown: float | None,
    output_formats: tuple[OutputFormat, ...],
    dry_run: bool,
    **options: Any,
) -> None:
    """Re-run one task, or all tasks of a list of ids or of a query, with new ids.

    The arguments are those of the original task unless others are given. The first 8 characters of an id are
    sufficient. A query requires a confirmation: a reply on a terminal, or --yes.

    \b
    flower rerun -A proj 2b8726da
    flower rerun -A proj state:FAILURE name:billing.charge --since 1h --dry-run"""
    from flower.api.actions import rerun_task  # noqa: PLC0415 - not needed for completion

    output_format = selected_format(output_formats)
    new_args, new_kwargs = _parse_json_option("--args", args, list), _parse_json_option("--kwargs", kwargs, dict)
    changes: dict[str, Any] = {"queue": queue, "priority": priority, "countdown": countdown}
    selection = select_tasks(ctx)
    if selection.ids is None or len(selection.ids) > 1:
        if new_args is not None or new_kwargs is not None or any(value is not None for value in changes.values()):
            names = "--args, --kwargs, --queue, --priority and --countdown"
            raise InvalidRequest(f"{names} require exactly one ID")
        run_bulk_action(ctx, "rerun", selection, output_format, dry_run=dry_run, **options)
        return
    (uuid,) = selection.ids
    dependencies = ctx.action_dependencies()
    sent = ctx.run_audited(
        "task.rerun",
        [uuid],
        lambda: rerun_task(dependencies, uuid, new_args, new_kwargs, by=ctx.user, dry_run=dry_run, **changes),
    )
    _write_sent_task(sent, output_format, dry_run=dry_run)


def _write_sent_task(sent: "SentTask", output_format: OutputFormat | None, *, dry_run: bool) -> None:
    on_terminal = output_format is None and sys.stdout.isatty()
    if output_format is not None or (dry_run and not on_terminal):
        write_output(dump_json(msgspec.to_builtins(sent)) + b"\n", "json")
        return
    if sent.unknown_options:
        echo_stderr(
            f"Unknown for the original task: {', '.join(sent.unknown_options)}. Using the application's routing."
        )
    if sent.workflow:
        echo_stderr(
            f"The task belongs to the workflow {sent.workflow}: later steps (chain, chord, callbacks) are not sent "
            "again."
        )
    if not dry_run:
        click.echo(sent.task)
        return
    routing = {"queue": sent.queue, "exchange": sent.exchange, "routing key": sent.routing_key}
    print_lines(
        [
            DetailLine(f"Re-run 1 task: {sent.name}", "bold"),
            *label_lines(
                [
                    ("original", sent.origin or ""),
                    ("args", f"{_to_text(sent.args)}  (from: {sent.args_from})"),
                    ("kwargs", f"{_to_text(sent.kwargs)}  (from: {sent.kwargs_from})"),
                    *((name, value or "") for name, value in routing.items()),
                    ("priority", "" if sent.priority is None else str(sent.priority)),
                ]
            ),
            DetailLine(),
            DetailLine("Dry run: nothing was sent."),
        ]
    )


def _to_text(value: Any) -> str:
    return dump_json(msgspec.to_builtins(value)).decode()


def _parse_json_option(option: str, text: str | None, kind: type) -> Any:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{option} is not valid JSON: {error}") from None
    if not isinstance(value, kind):
        raise InvalidRequest(f"{option} must be {'an array' if kind is list else 'an object'}")
    return value
