"""`python -m bench.store_write FOLDER FIRST COUNT`: how fast a store takes tasks from its writer.

The tasks are made before the clock starts. One line of JSON: `tasks`, and the `seconds` until all were written and the
writer had closed the store. It runs with the interpreter of any commit of the product."""

import json
import sys
import time
from inspect import signature

from bench.dataset import Population
from flower.store.factory import open_writer
from flower.store.protocols import Batch

#: Tasks in a transaction, as the recorder has when much comes in.
BATCH = 5_000


def write(folder: str, first: int, count: int) -> float:
    """Seconds."""
    tasks = tuple(Population(first + count, time.time()).row(first, count))
    # as the recorder does it; builds before columns have no index
    own_process = "index_process" in signature(open_writer).parameters
    writer = open_writer(folder, **({"index_process": True} if own_process else {}))
    began = time.perf_counter()
    try:
        for start in range(0, count, BATCH):
            writer.write(Batch(new=tasks[start : start + BATCH]))
    finally:
        writer.close()
    return time.perf_counter() - began


if __name__ == "__main__":
    number = int(sys.argv[3])
    print(json.dumps({"tasks": number, "seconds": write(sys.argv[1], int(sys.argv[2]), number)}))
