"""`flower rerun`."""

import json
from typing import Any

import click
import msgspec

from flower.api.json_encoder import dump_json
from flower.cli.action_base import ActionCommandContext, action_command
from flower.cli.table import echo_stderr, write_output
from flower.errors import InvalidRequest


@action_command("rerun")
@click.argument("uuid", metavar="ID")
@click.option("--args", "args", metavar="JSON", help="Other positional arguments: an array.")
@click.option("--kwargs", "kwargs", metavar="JSON", help="Other keyword arguments: an object.")
@click.option("--queue", metavar="NAME", help="Another queue.")
@click.option("--priority", type=click.IntRange(0, 255), help="Another priority.")
@click.option("--countdown", type=click.FloatRange(0), metavar="SECONDS", help="Run it so much later.")
@click.option("--dry-run", is_flag=True, help="Send nothing, and tell what would be.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def rerun(
    acted: ActionCommandContext,
    *,
    uuid: str,
    args: str | None,
    kwargs: str | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Run a task again, as it was or with other arguments."""
    given_args, given_kwargs = _parse_json_option("--args", args, list), _parse_json_option("--kwargs", kwargs, dict)
    means = acted.action_dependencies()
    from flower.api.actions import rerun_task  # noqa: PLC0415 - brings Celery in

    sent = acted.run_audited(
        "task.rerun",
        [uuid],
        lambda: rerun_task(means, uuid, given_args, given_kwargs, by=acted.user, dry_run=dry_run, **options),
    )
    if as_json or dry_run:
        write_output(dump_json(msgspec.to_builtins(sent)) + b"\n", "json")
        return
    if sent.unknown_options:
        echo_stderr(f"Nobody knows the origin's {' and '.join(sent.unknown_options)}: the application's own was taken.")
    click.echo(sent.task)


def _parse_json_option(option: str, text: str | None, kind: type) -> Any:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{option} is not JSON: {error}") from None
    if not isinstance(value, kind):
        raise InvalidRequest(f"{option} must be {'an array' if kind is list else 'an object'}")
    return value
