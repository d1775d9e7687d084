"""`python -m bench.store_write FOLDER FIRST COUNT`: measures how fast the writer of a store writes tasks.

The tasks are generated before the clock starts. Prints one line of JSON: `tasks`, and the `seconds` until all were
written and the store was closed. It runs with the interpreter of any commit of the product."""

import json
import sys
import time

from bench.dataset import Dataset
from bench.store_versions import Batch, open_writer

#: Tasks in a transaction, as the recorder writes them under load.
BATCH = 5_000


def write(folder: str, first: int, count: int) -> float:
    """Write the tasks; returns the seconds."""
    tasks = tuple(Dataset(first + count, time.time()).row(first, count))
    writer = open_writer(folder, index_process=True)
    started_at = time.perf_counter()
    try:
        for start in range(0, count, BATCH):
            writer.write(Batch(new=tasks[start : start + BATCH]))
    finally:
        writer.close()
    return time.perf_counter() - started_at


if __name__ == "__main__":
    number = int(sys.argv[3])
    print(json.dumps({"tasks": number, "seconds": write(sys.argv[1], int(sys.argv[2]), number)}))
