"""Queries from several threads while a writer in another process inserts, updates, indexes and sorts."""

import random
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

from flower.search.matcher import compile_predicate
from flower.search.parser import parse_search
from flower.store.factory import open_reader
from flower.store.protocols import SORT_KEYS, Query, Reader, Sort
from flower.store.query_results import BucketSpan

SECONDS = 6
WRITER = f"""
import random, sys, time
from msgspec.structs import replace
from bench.dataset import Dataset
from flower.store.factory import open_writer
from flower.store.protocols import Batch, TaskChange
from flower.store.sqlite import segment_set
segment_set.MAINTENANCE_DELAY = 0.3
dataset, writer, number, recent = Dataset(100_000, time.time()), open_writer(sys.argv[1], segment_tasks=1500), 0, []
end = time.monotonic() + {SECONDS}
states = ["SUCCESS", "FAILURE", "STARTED"]
while time.monotonic() < end:
    tasks = [dataset.task(index) for index in range(number, number + 200)]
    number += 200
    known = writer.load(random.sample(recent, min(40, len(recent)))).values()
    news = [dict(state=random.choice([*states, f"ODD{{number}}"]), result=f"done {{number}}") for _ in known]
    changed = [TaskChange(each.key, each.task, replace(each.task, **new)) for each, new in zip(known, news)]
    writer.write(Batch(new=tasks, changed=changed))
    recent = [*recent, *(task.uuid for task in tasks)][-2000:]
    writer.maintain()
    time.sleep(0.02)
writer.close()
"""
QUERIES = ("", "state:FAILURE", "order", "-worker:01 runtime:>1", '"done 2"', "is:slow", "name:charge OR state:ODD*")


def run_random_query(reader: Reader, rng: random.Random) -> None:
    where = parse_search(rng.choice(QUERIES))
    query = Query(where, (Sort(rng.choice(SORT_KEYS), rng.random() < 0.5),))
    span = BucketSpan(time.time() - 3600, 60, 60)
    match rng.randrange(7):
        case 0:
            list(reader.tasks(query, limit=20, offset=rng.choice([0, 0, 300, 2000])))
        case 1:
            page = reader.task_page(query, limit=20)
            if page.cursor:
                reader.task_page(query, limit=20, cursor=page.cursor)
        case 2:
            reader.facets(where, ["state", "name", "exception", "failure"])
        case 3:
            reader.summaries(where, by="name")
            reader.timeline(where, span)
        case 4:
            reader.failures(where, span=span)
        case 5:
            reader.histogram(where, span)
        case 6:
            for task in reader.tasks(query, limit=1):
                assert reader.task(task.uuid) is not None
                assert reader.family(task.uuid) is not None


def test_queries_during_writes(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)]) as writing:
        reader = open_reader(folder, time_limit=30)
        errors: list[str] = []
        query_count = [0]

        def work(seed: int) -> None:
            rng = random.Random(seed)
            while writing.poll() is None and not errors:
                try:
                    run_random_query(reader, rng)
                    query_count[0] += 1
                except Exception:  # noqa: BLE001 - whatever it is, it is shown
                    errors.append(traceback.format_exc())

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert writing.returncode == 0
    assert not errors, errors[0]
    assert query_count[0] > 20
    # all written tasks are found, whether they are indexed or not
    everything = list(reader.tasks(Query(sort=())))
    for text in QUERIES:
        where = parse_search(text)
        assert reader.count(where) == sum(map(compile_predicate(where, reader.slow_thresholds()), everything)), text
    reader.close()


OPEN_AT_ONCE = """
import multiprocessing, sys
from pathlib import Path
from flower.store.factory import open_ledger, open_reader, open_writer

def open_stores(folder, rounds, role, barrier, errors):
    for number in range(rounds):
        path = folder / str(number)
        barrier.wait()
        try:
            if role == "recorder":
                opened = [open_writer(path, text_index=False)]
            else:
                reader, ledger = open_reader(path), open_ledger(path)
                opened = [reader, ledger]
                ledger.secrets.get_or_create("cookie")
                reader.count(), reader.status()
        except Exception as error:
            errors.put(f"{role}, round {number}: {error!r}")
            opened = []
        barrier.wait()
        for each in opened:
            each.close()

if __name__ == "__main__":
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    roles = ["web", "web", "web", "recorder"]
    context = multiprocessing.get_context("fork")
    barrier, errors = context.Barrier(len(roles)), context.Queue()
    processes = [context.Process(target=open_stores, args=(folder, rounds, role, barrier, errors)) for role in roles]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    while not errors.empty():
        print(errors.get())
"""


def test_servers_that_start_together_open_one_new_store(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", OPEN_AT_ONCE, str(tmp_path), "20"], capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.stderr, run.returncode) == ("", "", 0)
