"""`flower audit`."""

from collections.abc import Iterable
from datetime import UTC
from itertools import islice
from typing import Any

import click

from flower.api.audit import every, wanted
from flower.api.exporting import encode
from flower.cli.asking import form_of, found, with_forms
from flower.cli.ledgers import LedgerCommand, opened, with_ledger
from flower.cli.sheet import Form, Heading, write_machine, write_rows
from flower.store.ledger.audit import OUTCOMES, Entry

_AUDIT = (
    Heading("at", "time", rank=0, least=19),
    Heading("who", rank=0, least=8),
    Heading("action", rank=0, least=12),
    Heading("outcome", rank=0, least=7),
    Heading("targets", rank=1, least=16),
    Heading("message", rank=2, least=12),
    Heading("way", rank=4, least=7),
    Heading("address", rank=3, least=9),
    Heading("parameters", rank=5, least=12),
)


@click.command("audit", cls=LedgerCommand)
@click.option("--who", default="", metavar="USER", help="Only what this person did.")
@click.option("--action", default="", metavar="NAME", help="Only this action; `task` is all that begin with `task.`.")
@click.option("--target", default="", metavar="ID", help="Only what was done to this task, worker or queue.")
@click.option("--outcome", type=click.Choice(OUTCOMES), help="Only with this outcome.")
@click.option("--address", default="", metavar="IP", help="Only from this address.")
@click.option("--from", "start", metavar="TIME", help="Since then: -1h, today, 2026-11-22, 2026-11-22T10:15.")
@click.option("--to", "end", metavar="TIME", help="Until then.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="Entries.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--utc", is_flag=True, help="Times are UTC, not local.")
@with_forms
@with_ledger
def audit(
    *,
    limit: int,
    everything: bool,
    utc: bool,
    forms: tuple[Form, ...],
    db: str | None,
    conf: str | None,
    **sought: Any,
) -> None:
    """Who did what, when, and what became of it, newest first."""
    form = form_of(forms)
    with opened(db, conf) as (ledger, _):
        entries = every(ledger.audit, wanted(**{**sought, "outcome": sought["outcome"] or ""}))
        shown = entries if everything else islice(entries, limit)
        if form == "ndjson":
            found(_write_whole(shown))
        else:
            found(write_rows(_AUDIT, map(_row, shown), form, zone=UTC if utc else None))


def _write_whole(entries: Iterable[Entry]) -> int:
    count = 0
    for entry in entries:
        write_machine(encode(entry) + b"\n", "ndjson")
        count += 1
    return count


def _row(entry: Entry) -> list[Any]:
    more = entry.target_count - len(entry.targets[:3])
    targets = ", ".join(entry.targets[:3]) + (f" and {more:,} more" if more else "")
    who = entry.who or "anybody"
    return [
        entry.at,
        f"{who} (token {entry.token})" if entry.token else who,
        entry.action,
        entry.outcome,
        targets,
        entry.message,
        entry.way,
        entry.address,
        dict(entry.parameters) or None,
    ]
