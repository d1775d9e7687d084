"""The entry points `flower` and `celery flower`. The module of a command is imported when the command is called."""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from flower.cli.options import OptionsCommand, config_options
from flower.cli.serve import celery_flower

#: Commands that read the store: import path and summary.
QUERY_COMMANDS: Mapping[str, tuple[str, str]] = {
    "tasks": ("flower.cli.tasks:tasks", "List tasks."),
    "task": ("flower.cli.task:task", "Show one task."),
    "stats": ("flower.cli.stats:stats", "Show rates and percentiles, optionally by name, worker or time."),
    "failures": ("flower.cli.failures:failures", "List failure groups."),
    "workers": ("flower.cli.workers:workers", "List workers, or show the history of one."),
    "export": ("flower.cli.export:export", "Export tasks as NDJSON, CSV or Parquet."),
    "import": ("flower.cli.import_tasks:import_tasks", "Import tasks."),
}
#: Commands that change something, through the broker and the ledger of the store.
ACTION_COMMANDS: Mapping[str, tuple[str, str]] = {
    "rerun": ("flower.cli.rerun:rerun", "Re-run a task, optionally with changed arguments."),
    "revoke": ("flower.cli.revoke:revoke", "Revoke, terminate or abort a task."),
    "jobs": ("flower.cli.jobs:jobs", "Manage bulk jobs."),
}
#: Commands for administration, which use the ledger of the store.
ADMIN_COMMANDS: Mapping[str, tuple[str, str]] = {
    "token": ("flower.cli.token:token", "Manage API tokens."),
    "audit": ("flower.cli.audit:audit", "Show the audit log."),
    "password": ("flower.cli.password:password", "Hash a password for basic_auth."),
}
#: Commands that `celery flower` has as well.
SUBCOMMANDS: Mapping[str, tuple[str, str]] = {**QUERY_COMMANDS, **ACTION_COMMANDS, **ADMIN_COMMANDS}
COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("flower.cli.serve:serve", "Record events and serve the web UI (default)."),
    "record": ("flower.cli.serve:record", "Record events only."),
    "web": ("flower.cli.serve:web", "Serve the web UI only, from the store."),
    **SUBCOMMANDS,
    "demo": ("flower.demo.command:demo", "Run a demo application."),
}


def load_command(name: str) -> click.Command:
    """Import a command of the table."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    return command


class CommandGroup(click.Group):
    """The commands of the table above, in its order; the help is printed without importing their modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


class CeleryCommand(OptionsCommand):
    """`celery flower`: serves, or runs the command that its first argument names."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args and args[0] in SUBCOMMANDS:
            return load_command(args[0]).make_context(f"{info_name} {args[0]}", args[1:], parent=parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


commands = CommandGroup(name="flower", help="Bellflower: monitor and manage Celery. Default command: serve.")
commands = click.version_option(package_name="bellflower")(commands)

flower = click.version_option(package_name="bellflower")(
    click.command(
        cls=CeleryCommand,
        name="flower",
        help="Monitor and manage Celery (Bellflower).",
        epilog=f"Commands: {', '.join(SUBCOMMANDS)}. Run celery flower COMMAND --help for details.",
    )(config_options(click.pass_context(celery_flower)))
)


def main() -> None:
    """Run `flower`; the default command is `serve`."""
    args = sys.argv[1:]
    if not args or (args[0] not in COMMANDS and args[0] not in ("--help", "--version")):
        args = ["serve", *args]
    try:
        commands.main(args=args, prog_name="flower")
    except KeyboardInterrupt:  # before a command has started
        sys.exit(130)
