"""`flower queues`."""

import time
from typing import Any

import click

from flower.api.queues import QueueNameCache, QueueRates, compute_rates
from flower.cli.base import CommandContext, exit_if_empty, format_options, query_command, selected_format, utc_option
from flower.cli.table import OutputFormat, TableColumn, write_table
from flower.errors import NotFound
from flower.search.did_you_mean import did_you_mean
from flower.store.ledger.queue_samples import QueueSample

_COLUMNS = (
    TableColumn("queue", drop_order=0, min_width=12),
    TableColumn("ready", "integer", drop_order=0, min_width=6),
    TableColumn("unacknowledged", "integer", drop_order=3, min_width=7, title="unacked"),
    TableColumn("consumers", "integer", drop_order=1, min_width=9),
    TableColumn("oldest", "duration", drop_order=2, min_width=7),
    TableColumn("arrivals_per_second", "rate", drop_order=4, min_width=8, title="in"),
    TableColumn("departures_per_second", "rate", drop_order=4, min_width=8, title="out"),
    TableColumn("trend", drop_order=3, min_width=8),
    TableColumn("time_to_empty", "duration", drop_order=5, min_width=8, title="empty in"),
    TableColumn("sampled_at", "time", drop_order=6, min_width=19, title="sampled"),
)


@query_command("queues")
@click.argument("name", required=False)
@utc_option
@format_options
def queues(ctx: CommandContext, *, name: str | None, output_formats: tuple[OutputFormat, ...]) -> None:
    """List queues with their depth when a server last queried the broker, and how fast they fill and drain."""
    latest = ctx.ledger.queue_samples.latest()
    samples = [sample for sample in latest if name is None or sample.queue == name]
    if name is not None and not samples:
        known = [sample.queue for sample in latest]
        raise NotFound(f"Unknown queue '{name}'", hint=did_you_mean(name, known))
    rates = compute_rates(ctx.store, ctx.ledger, QueueNameCache().get(ctx.store), time.time())
    rows = [_to_row(sample, rates.get(sample.queue, QueueRates())) for sample in samples]
    exit_if_empty(write_table(_COLUMNS, rows, selected_format(output_formats), zone=ctx.zone))


def _to_row(sample: QueueSample, rates: QueueRates) -> list[Any]:
    trend = None if rates.growing is None else "growing" if rates.growing else "steady"
    return [
        sample.queue, sample.ready, sample.unacknowledged, sample.consumers, sample.oldest, rates.arrivals_per_second,
        rates.departures_per_second, trend, rates.time_to_empty, sample.at,
    ]  # fmt: skip
