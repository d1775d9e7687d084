"""`flower rerun`."""

import json
from typing import Any

import click
import msgspec

from flower.api.actions import rerun_task
from flower.api.json_encoder import dump_json
from flower.cli.action_base import ActionCommandContext, action_command
from flower.cli.table import echo_stderr, write_output
from flower.errors import InvalidRequest


@action_command("rerun")
@click.argument("uuid", metavar="ID")
@click.option("--args", "args", metavar="JSON", help="Positional arguments: a JSON array.")
@click.option("--kwargs", "kwargs", metavar="JSON", help="Keyword arguments: a JSON object.")
@click.option("--queue", metavar="NAME", help="Send the task to this queue.")
@click.option("--priority", type=click.IntRange(0, 255), help="Message priority.")
@click.option("--countdown", type=click.FloatRange(0), metavar="SECONDS", help="Delay the task by this many seconds.")
@click.option("--dry-run", is_flag=True, help="Preview without sending.")
@click.option("--json", "as_json", is_flag=True, help="JSON output.")
def rerun(
    ctx: ActionCommandContext,
    *,
    uuid: str,
    args: str | None,
    kwargs: str | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Re-run a task, with its original arguments unless others are given."""
    new_args, new_kwargs = _parse_json_option("--args", args, list), _parse_json_option("--kwargs", kwargs, dict)
    dependencies = ctx.action_dependencies()
    sent = ctx.run_audited(
        "task.rerun",
        [uuid],
        lambda: rerun_task(dependencies, uuid, new_args, new_kwargs, by=ctx.user, dry_run=dry_run, **options),
    )
    if as_json or dry_run:
        write_output(dump_json(msgspec.to_builtins(sent)) + b"\n", "json")
        return
    if sent.unknown_options:
        echo_stderr(
            f"Unknown for the original task: {', '.join(sent.unknown_options)}. Using the application's routing."
        )
    click.echo(sent.task)


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
