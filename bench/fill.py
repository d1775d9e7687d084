"""`python -m bench.fill FOLDER FIRST COUNT`: put COUNT tasks into a store, through its own writer.

They are numbered from FIRST on. For the measures that need millions: they go the way that every record goes, but
without a broker and without being folded from events each. How far it is goes to standard error; ten million take five
to ten minutes.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import click
import msgspec

from bench.dataset import Population
from flower.records import Task
from flower.store.factory import open_writer
from flower.store.protocols import Batch

BATCH = 20_000
#: Seconds between two lines of progress.
SAY_EVERY = 10.0


def fill(folder: str, population: Population, first: int, count: int) -> None:
    """Raises what the store's writer raises, StoreInUse before all."""
    writer = open_writer(folder)
    try:
        began = said = time.monotonic()
        done = 0
        for batch in _batches(population.row(first, count)):
            writer.write(Batch(new=batch))
            done += len(batch)
            now = time.monotonic()
            if now - said >= SAY_EVERY:
                said = now
                print(f"{done:,} of {count:,} tasks, {done / (now - began):,.0f} a second", file=sys.stderr, flush=True)
        # a store as one that has been there for a while; builds before columns have nothing to wait for
        getattr(writer, "settle", lambda: None)()
    finally:
        writer.close()
    _facts(folder).write_bytes(msgspec.json.encode(asdict(population)))


def population_of(folder: str | Path) -> Population:
    """What this store was filled with. Raises FileNotFoundError if it was not filled by `fill`."""
    return msgspec.json.decode(_facts(folder).read_bytes(), type=Population)


def _facts(folder: str | Path) -> Path:
    # beside the store: what is in its folder is the store's business
    return Path(folder).with_name(f"{Path(folder).name}.population.json")


def _batches(tasks: Iterator[Task]) -> Iterator[tuple[Task, ...]]:
    while batch := tuple(islice(tasks, BATCH)):
        yield batch


@click.command()
@click.argument("folder")
@click.argument("first", type=click.IntRange(min=0))
@click.argument("count", type=click.IntRange(min=1))
@click.option("--of", "tasks", type=click.IntRange(min=1), help="How many there will be in all; default FIRST + COUNT.")
@click.option("--now", type=float, help="When the last of them is received, in epoch seconds; default is now.")
def main(folder: str, first: int, count: int, tasks: int | None, now: float | None) -> None:
    """Put COUNT tasks into the store in FOLDER."""
    fill(folder, Population(tasks or first + count, time.time() if now is None else now), first, count)


if __name__ == "__main__":
    main()
