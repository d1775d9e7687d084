"""`flower rerun`."""

import json
from typing import Any

import click
import msgspec

from flower.api.exporting import encode
from flower.cli.acting import Acted, acting
from flower.cli.sheet import say, write_machine
from flower.errors import Invalid


@acting("rerun")
@click.argument("uuid", metavar="ID")
@click.option("--args", "args", metavar="JSON", help="Other positional arguments: an array.")
@click.option("--kwargs", "kwargs", metavar="JSON", help="Other keyword arguments: an object.")
@click.option("--queue", metavar="NAME", help="Another queue.")
@click.option("--priority", type=click.IntRange(0, 255), help="Another priority.")
@click.option("--countdown", type=click.FloatRange(0), metavar="SECONDS", help="Run it so much later.")
@click.option("--dry-run", is_flag=True, help="Send nothing, and tell what would be.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def rerun(
    acted: Acted,
    *,
    uuid: str,
    args: str | None,
    kwargs: str | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Run a task again, as it was or with other arguments."""
    given_args, given_kwargs = _given("--args", args, list), _given("--kwargs", kwargs, dict)
    means = acted.means()
    from flower.api.actions import rerun_task  # noqa: PLC0415 - brings Celery in

    sent = acted.noted(
        "task.rerun",
        [uuid],
        lambda: rerun_task(means, uuid, given_args, given_kwargs, by=acted.who, dry_run=dry_run, **options),
    )
    if as_json or dry_run:
        write_machine(encode(msgspec.to_builtins(sent)) + b"\n", "json")
        return
    if sent.unknown:
        say(f"Nobody knows the origin's {' and '.join(sent.unknown)}: the application's own was taken.")
    click.echo(sent.task)


def _given(option: str, text: str | None, kind: type) -> Any:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{option} is not JSON: {error}") from None
    if not isinstance(value, kind):
        raise Invalid(f"{option} must be {'an array' if kind is list else 'an object'}")
    return value
