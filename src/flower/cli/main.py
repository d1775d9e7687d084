"""The entry points `flower` and `celery flower`. The module of a command is imported when the command is called."""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from flower.cli.global_options import HELP_SETTINGS, make_options, split_leading_options, stored_options
from flower.cli.options import OptionsCommand, config_options
from flower.cli.serve import celery_flower
from flower.similar_names import closest_match

#: Commands that run until a signal arrives: import path and summary.
SERVER_COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("flower.cli.serve:serve", "Record events and serve the web UI (default)."),
    "record": ("flower.cli.serve:record", "Record events only."),
    "web": ("flower.cli.serve:web", "Serve the web UI only, from the store."),
    "demo": ("flower.demo.command:demo", "Run a demo application."),
}
#: Commands that read the store.
QUERY_COMMANDS: Mapping[str, tuple[str, str]] = {
    "tasks": ("flower.cli.tasks:tasks", "List tasks."),
    "task": ("flower.cli.task:task", "Show one task."),
    "stats": ("flower.cli.stats:stats", "Show rates and percentiles, optionally by name, worker or time."),
    "failures": ("flower.cli.failures:failures", "List failure groups."),
    "status": ("flower.cli.status:status", "Show the status of recorder, broker and store."),
    "health": ("flower.cli.health:health", "List health issues with what to do."),
    "gaps": ("flower.cli.gaps:gaps", "List gaps: intervals in which events may be missing."),
    "workers": ("flower.cli.workers:workers", "List workers, or show the history of one."),
    "queues": ("flower.cli.queues:queues", "List queues with their depth and trend."),
    "workflows": ("flower.cli.workflows:workflows", "List workflows: chains, groups and chords."),
    "tail": ("flower.cli.tail:tail", "Print the latest tasks; with -f, each change."),
    "watch": ("flower.cli.tail:watch", "Print each change of a task until Ctrl-C."),
    "export": ("flower.cli.export:export", "Export tasks as NDJSON, CSV or Parquet."),
    "import": ("flower.cli.import_tasks:import_tasks", "Import tasks."),
}
#: Commands that change something, through the broker and the ledger of the store.
ACTION_COMMANDS: Mapping[str, tuple[str, str]] = {
    "rerun": ("flower.cli.rerun:rerun", "Re-run tasks, optionally with changed arguments."),
    "revoke": ("flower.cli.stop:revoke", "Revoke tasks: workers skip them."),
    "terminate": ("flower.cli.stop:terminate", "Revoke tasks and stop the processes that run them."),
    "abort": ("flower.cli.stop:abort", "Abort abortable tasks."),
    "jobs": ("flower.cli.jobs:jobs", "List, show and stop bulk jobs."),
    "resolve": ("flower.cli.triage:resolve", "Mark failure groups as resolved."),
    "mute": ("flower.cli.triage:mute", "Mute failure groups."),
    "reopen": ("flower.cli.triage:reopen", "Remove the decision about failure groups."),
}
#: Commands for administration, which use the ledger of the store.
ADMIN_COMMANDS: Mapping[str, tuple[str, str]] = {
    "token": ("flower.cli.token:token", "Manage API tokens."),
    "session": ("flower.cli.session:session", "End sessions of signed-in users."),
    "audit": ("flower.cli.audit:audit", "Show the audit log."),
    "backup": ("flower.cli.backup:backup", "Copy the store, also while it is in use."),
    "restore": ("flower.cli.backup:restore", "Create a store from a backup."),
    "doctor": ("flower.cli.doctor:doctor", "Check configuration, broker, workers and store."),
    "check": ("flower.cli.check:check", "Check a store for damage, also while it is in use."),
    "redaction": ("flower.cli.redaction:redaction", "Check the redaction rules with a file of shapes."),
    "password": ("flower.cli.password:password", "Hash a password for basic_auth."),
}
#: Commands that `celery flower` has as well.
SUBCOMMANDS: Mapping[str, tuple[str, str]] = {**QUERY_COMMANDS, **ACTION_COMMANDS, **ADMIN_COMMANDS}
#: All commands, by the section of the help.
SECTIONS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Servers": SERVER_COMMANDS,
    "Queries (require only the store)": QUERY_COMMANDS,
    "Actions (rerun, revoke, terminate and abort require -A)": ACTION_COMMANDS,
    "Administration": {
        **ADMIN_COMMANDS,
        "completion": ("flower.cli.completion:completion", "Print the completion script of bash, zsh or fish."),
    },
}
COMMANDS: Mapping[str, tuple[str, str]] = {
    name: command for section in SECTIONS.values() for name, command in section.items()
}

_HELP = """Bellflower monitors and manages Celery.

Without a command, `flower` is `flower serve`. `flower COMMAND --help` lists the options of a command."""
_EPILOG = """Exit status: 0 success, 1 no results, 2 usage error, 3 failed or incomplete."""


def load_command(name: str) -> click.Command:
    """Import a command of the table."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    return command


class CommandGroup(click.Group):
    """The commands of the table above, in its order; the help is printed without importing their modules."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        leading, rest = split_leading_options(args)
        if not rest or (rest[0].startswith("-") and rest[0] not in ("-h", "--help", "--version")):
            rest = ["serve", *rest]
        return super().parse_args(ctx, [*leading, *rest])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS:
            raise click.UsageError(_unknown_command(name), ctx)
        command = load_command(name)
        values = dict(stored_options(ctx))
        # A command of a group, such as `token list`, looks its defaults up under its name.
        nested = dict.fromkeys(command.commands, values) if isinstance(command, click.Group) else {}
        ctx.default_map = {name: {**values, **nested}}
        return name, command, args[1:]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:{width}}", summary) for name, (_, summary) in commands.items()])


def _unknown_command(name: str) -> str:
    """The message for a word that is not a command, with what was probably meant."""
    if ":" in name and "://" not in name:
        return f"Unknown command '{name}'. To search for tasks: flower tasks '{name}'"
    similar = closest_match(name, COMMANDS)
    if similar:
        return f"Unknown command '{name}'. Did you mean '{similar}'?"
    shown = name if "://" not in name else f"{name.partition('://')[0]}://…"  # a URL may contain a password
    return f"Unknown command '{shown}'. 'flower --help' lists the commands."


class CeleryCommand(OptionsCommand):
    """`celery flower`: serves, or runs the command that its first argument names. Like Flower, it ignores what it does
    not know, with a warning."""

    is_tolerant = True

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args and args[0] in SUBCOMMANDS:
            return load_command(args[0]).make_context(f"{info_name} {args[0]}", args[1:], parent=parent, **extra)
        # A start line of Flower may contain a stray word, such as a broker URL, but not an almost correct command.
        similar = closest_match(args[0], SUBCOMMANDS) if args and not args[0].startswith("-") else None
        if similar:
            raise click.UsageError(f"Unknown command '{args[0]}'. Did you mean '{similar}'?")
        return super().make_context(info_name, args, parent, **extra)


#: The program has the name of Flower, so the version names the package.
_version_option = click.version_option(package_name="bellflower", message="Bellflower, version %(version)s")

commands = CommandGroup(
    name="flower",
    help=_HELP,
    epilog=_EPILOG,
    params=make_options(),
    context_settings=HELP_SETTINGS,
)
commands = _version_option(commands)

flower = _version_option(
    click.command(
        cls=CeleryCommand,
        name="flower",
        help="Monitor and manage Celery (Bellflower).",
        epilog=f"Commands: {', '.join(SUBCOMMANDS)}. Run celery flower COMMAND --help for details.",
    )(config_options(click.pass_context(celery_flower)))
)


def main() -> None:
    """Run `flower`; the default command is `serve`."""
    try:
        commands.main(prog_name="flower")
    except KeyboardInterrupt:  # before a command has started
        sys.exit(130)
