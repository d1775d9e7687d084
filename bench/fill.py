"""`python -m bench.fill FOLDER FIRST COUNT`: writes COUNT tasks of the dataset, numbered from FIRST, into a store.

For scenarios that need millions of tasks: they are written by the writer of the store, without a broker and without
folding events. Progress is printed to standard error; ten million tasks take five to ten minutes.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import click
import msgspec

from bench.dataset import Dataset
from bench.store_versions import Batch, finish_maintenance, open_writer
from flower.records import Task

BATCH = 20_000
#: Seconds between two lines of progress.
PROGRESS_INTERVAL = 10.0


def fill(folder: str, dataset: Dataset, first: int, count: int) -> None:
    """Write the tasks. Raises what the writer of the store raises, for example StoreInUse."""
    writer = open_writer(folder)
    try:
        started_at = reported_at = time.monotonic()
        written = 0
        for batch in _batches(dataset.row(first, count)):
            writer.write(Batch(new=batch))
            written += len(batch)
            now = time.monotonic()
            if now - reported_at >= PROGRESS_INTERVAL:
                reported_at = now
                print(
                    f"{written:,} of {count:,} tasks, {written / (now - started_at):,.0f} per second",
                    file=sys.stderr,
                    flush=True,
                )
        finish_maintenance(writer)
    finally:
        writer.close()
    _dataset_file(folder).write_bytes(msgspec.json.encode(asdict(dataset)))


def read_dataset(folder: str | Path) -> Dataset:
    """The dataset of the store. Raises FileNotFoundError if `fill` has not filled the store."""
    return msgspec.json.decode(_dataset_file(folder).read_bytes(), type=Dataset)


def _dataset_file(folder: str | Path) -> Path:
    # next to the folder of the store, which contains files of the store only
    return Path(folder).with_name(f"{Path(folder).name}.dataset.json")


def _batches(tasks: Iterator[Task]) -> Iterator[tuple[Task, ...]]:
    while batch := tuple(islice(tasks, BATCH)):
        yield batch


@click.command()
@click.argument("folder")
@click.argument("first", type=click.IntRange(min=0))
@click.argument("count", type=click.IntRange(min=1))
@click.option("--of", "tasks", type=click.IntRange(min=1), help="Tasks in the dataset. Default: FIRST + COUNT.")
@click.option("--now", type=float, help="Time of the last task, in epoch seconds. Default: now.")
def main(folder: str, first: int, count: int, tasks: int | None, now: float | None) -> None:
    """Write COUNT tasks into the store in FOLDER."""
    fill(folder, Dataset(tasks or first + count, time.time() if now is None else now), first, count)


if __name__ == "__main__":
    main()
