"""The two doors: `flower` and `celery flower`. Commands are imported when they are asked for."""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from flower.cli.options import OptionsCommand, config_options
from flower.cli.serve import celery_flower

#: Commands that answer from the store: where each is, and what it is for.
QUERY_COMMANDS: Mapping[str, tuple[str, str]] = {
    "tasks": ("flower.cli.tasks:tasks", "List or search tasks."),
    "task": ("flower.cli.task:task", "Everything known of one task."),
    "stats": ("flower.cli.stats:stats", "Rates and percentiles, also by name, worker or time."),
    "failures": ("flower.cli.failures:failures", "Failures, alike ones together."),
    "workers": ("flower.cli.workers:workers", "Workers, or the history of one."),
    "export": ("flower.cli.export:export", "Write tasks to a file: NDJSON, CSV or Parquet."),
    "import": ("flower.cli.import_tasks:import_tasks", "Bring exported tasks into a store."),
}
#: Commands that act, through the store's ledger and the broker.
ACTION_COMMANDS: Mapping[str, tuple[str, str]] = {
    "rerun": ("flower.cli.rerun:rerun", "Run a task again, as it was or with other arguments."),
    "revoke": ("flower.cli.revoke:revoke", "Revoke, terminate or abort a task."),
    "jobs": ("flower.cli.jobs:jobs", "Bulk jobs: list, see, stop, start."),
}
#: Commands about people, which work on the ledger of the store.
ADMIN_COMMANDS: Mapping[str, tuple[str, str]] = {
    "token": ("flower.cli.token:token", "API tokens: make, list and revoke them."),
    "audit": ("flower.cli.audit:audit", "Who did what, and what became of it."),
    "password": ("flower.cli.password:password", "Hash a password for basic_auth."),
}
COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("flower.cli.serve:serve", "Record and serve pages (the default)."),
    "record": ("flower.cli.serve:record", "Record only."),
    "web": ("flower.cli.serve:web", "Serve pages only, from the store."),
    **QUERY_COMMANDS,
    **ACTION_COMMANDS,
    **ADMIN_COMMANDS,
    "demo": ("flower.demo.command:demo", "An order shop with live workers, to look at."),
}


def load_command(name: str) -> click.Command:
    module, _, attribute = COMMANDS[name][0].partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    return command


class CommandGroup(click.Group):
    """A group out of the table above, in its order; help is printed without importing any of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence) for name, (_, sentence) in COMMANDS.items()])


class CeleryCommand(OptionsCommand):
    """`celery flower`, which serves; with the name of a command that asks, that one."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args and args[0] in {**QUERY_COMMANDS, **ACTION_COMMANDS, **ADMIN_COMMANDS}:
            return load_command(args[0]).make_context(f"{info_name} {args[0]}", args[1:], parent=parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


commands = CommandGroup(
    name="flower", help="Bellflower: watch and steer Celery, and remember. Without a command: serve."
)
commands = click.version_option(package_name="bellflower")(commands)

flower = click.version_option(package_name="bellflower")(
    click.command(
        cls=CeleryCommand,
        name="flower",
        help="Watch and steer Celery (Bellflower).",
        epilog=(
            "With one of these words first it answers from the store instead:"
            f" {', '.join({**QUERY_COMMANDS, **ADMIN_COMMANDS})}; with one of these it acts:"
            f" {', '.join(ACTION_COMMANDS)}."
        ),
    )(config_options(click.pass_context(celery_flower)))
)


def main() -> None:
    args = sys.argv[1:]
    if not args or (args[0] not in COMMANDS and args[0] not in ("--help", "--version")):
        args = ["serve", *args]
    try:
        commands.main(args=args, prog_name="flower")
    except KeyboardInterrupt:  # before any command has begun
        sys.exit(130)
