"""`flower health`: the health issues, with severity and action."""

import shlex
from collections.abc import Iterator

import click

from flower.api.health import Health, HealthIssue
from flower.api.health import health as evaluate
from flower.api.json_encoder import dump_json
from flower.cli.base import CommandContext, query_command
from flower.cli.severity import EXIT_ZERO_HELP, exit_by_severity, finding_lines
from flower.cli.table import write_output
from flower.cli.terminal import DetailLine, print_lines

#: Commands that show the subject of an issue, by its type.
_COMMANDS = {
    "worker": "flower workers", "queue": "flower queues", "recorder": "flower status", "store": "flower status",
    "failure": "flower failures --status new --status regressed",
}  # fmt: skip


@query_command("health")
@click.option("--exit-zero", is_flag=True, help=EXIT_ZERO_HELP)
@click.option("--json", "as_json", is_flag=True, help="JSON output.")
def health(ctx: CommandContext, *, exit_zero: bool, as_json: bool) -> None:
    """List health issues, most severe first, with what to do.

    Exit status: 0 no issue, 1 warnings or no data yet, 3 critical issues. The JSON document is that of GET
    /api/v1/health."""
    result = evaluate(ctx.store, ctx.ledger)
    if as_json:
        write_output(dump_json(result) + b"\n", "json")
    else:
        print_lines(_health_lines(result))
    if not exit_zero:
        exit_by_severity(has_errors=result.status == "critical", has_warnings=result.status != "ok")


def _health_lines(result: Health) -> Iterator[DetailLine]:
    if not result.issues:
        yield from finding_lines(result.status, result.summary, action=result.next_step)
    for number, issue in enumerate(result.issues):
        if number:
            yield DetailLine()
        yield from finding_lines(issue.severity, issue.title, issue.detail, _action(issue))


def _action(issue: HealthIssue) -> str:
    """The command that lists what the issue concerns."""
    if issue.subject.type == "failure" and issue.subject.id:
        return f"flower failures --group {issue.subject.id}"
    if issue.subject.type in _COMMANDS:
        return "flower gaps" if issue.kind == "events_missed" else _COMMANDS[issue.subject.type]
    return f"flower tasks {shlex.quote(issue.subject.query)}" if issue.subject.query else ""
