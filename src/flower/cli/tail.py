"""`flower tail` and `flower watch`: the latest tasks, and each change of a task while it is recorded."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator

import click

from flower.api.columns import COLUMNS
from flower.api.exporter import serialize_tasks
from flower.api.queries import task_page
from flower.api.query_params import Window, build_filter
from flower.cli.base import (
    CommandContext,
    exit_if_empty,
    exit_zero_option,
    limit_option,
    query_command,
    query_options,
)
from flower.cli.formatting import format_duration, format_human, format_machine
from flower.cli.table import STATE_STYLES, echo_stderr, write_output
from flower.cli.task_ids import shorten_ids
from flower.cli.terminal import DetailLine, print_lines
from flower.live.changes import ChangeReader, read_latest_sequence
from flower.records import Task
from flower.search.matcher import matches, needs_slow_thresholds
from flower.store.protocols import Reader

#: Seconds between two queries for changes.
_POLL_INTERVAL = 0.25
#: The columns of a line in a pipe.
_PIPE_COLUMNS = ("last_event_at", "state", "name", "worker", "uuid", "runtime", "exception")


def _tail_options(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--ndjson", is_flag=True, help="NDJSON output: one complete record per line.")(command)
    return query_options(limit_option(10, "Number of tasks to begin with.")(exit_zero_option(command)))


@query_command("tail")
@_tail_options
@click.option("-f", "--follow", is_flag=True, help="Continue with each change until Ctrl-C.")
def tail(ctx: CommandContext, *, limit: int, ndjson: bool, follow: bool) -> None:
    """Print the latest tasks that match QUERY, oldest first, one per line. With -f, print a line for each change."""
    _tail(ctx, limit, ndjson=ndjson, follow=follow)


@query_command("watch")
@_tail_options
def watch(ctx: CommandContext, *, limit: int, ndjson: bool) -> None:
    """Print a line for each change of a task that matches QUERY, until Ctrl-C: `flower tail -f`.

    The changes are read from the store. A server or recorder must be running to write them."""
    _tail(ctx, limit, ndjson=ndjson, follow=True)


def _tail(ctx: CommandContext, limit: int, *, ndjson: bool, follow: bool) -> None:
    position = read_latest_sequence(ctx.store)
    latest = task_page(ctx.store, ctx.query, limit=limit, **ctx.window).tasks
    _print_tasks(ctx, reversed(latest), ndjson=ndjson)
    if not follow:
        exit_if_empty(len(latest))
        return
    for tasks in _iter_changes(ctx.store, position):
        window: Window = {**ctx.window, "now": time.time()}
        where = build_filter(ctx.query, **window)
        thresholds = ctx.store.slow_thresholds() if needs_slow_thresholds(where) else None
        _print_tasks(ctx, [task for task in tasks if matches(where, task, thresholds)], ndjson=ndjson)
        sys.stdout.flush()


def _iter_changes(store: Reader, position: int) -> Iterator[list[Task]]:
    """The changed tasks of each poll, oldest change first. Changes that cannot be read are reported."""
    while True:
        changes = ChangeReader(store).read_since(position)
        if changes.gap_reason:
            echo_stderr(f"Changes are missing: {changes.gap_reason}")
        elif changes.omitted:
            echo_stderr(f"Changes are missing: {changes.omitted:,} tasks")
        position = changes.sequence
        if changes.tasks:
            yield [task for task in changes.tasks.values() if task is not None]
        time.sleep(_POLL_INTERVAL)


def _print_tasks(ctx: CommandContext, tasks: Iterable[Task], *, ndjson: bool) -> None:
    if ndjson:
        for chunk in serialize_tasks(tasks, "ndjson"):
            write_output(chunk, "ndjson")
    elif sys.stdout.isatty():
        shown = list(tasks)
        short = shorten_ids(task.uuid for task in shown)
        print_lines(_to_line(ctx, task, short.get(task.uuid, task.uuid)) for task in shown)
    else:
        columns = [COLUMNS[name] for name in _PIPE_COLUMNS]
        for task in tasks:
            click.echo("\t".join(format_machine(column.value(task), column.kind, ctx.zone) for column in columns))


def _to_line(ctx: CommandContext, task: Task, shown_id: str) -> DetailLine:
    moment = format_human(task.timestamp, "time", ctx.zone)
    details = [
        task.name or "(no name)",
        task.hostname or "",
        "" if task.runtime is None else format_duration(task.runtime),
        task.exception or "",
    ]
    text = f"{task.state:8}  {shown_id}  {'  '.join(part for part in details if part)}"
    return DetailLine(text, STATE_STYLES.get(task.state, ""), f"{moment}  ")
