"""Processes and threads that read and write one store: kill -9, concurrent readers, time limits of queries."""

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flower.errors import DeadlineExceeded
from flower.search.tree import Not, Term
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query, Sort
from tests.helpers.disk_store import fill, script_environment, writing
from tests.helpers.task_factory import make, uuid_of

WRITE = """
import sys
from tests.helpers.task_factory import make
from flower.store.factory import open_writer
from flower.store.protocols import Batch, TaskChange
import msgspec
path, number = sys.argv[1], int(sys.argv[2])
writer = open_writer(path, segment_tasks=50)
print("ready", flush=True)
waiting = {}
while True:
    new = [make(n, state="STARTED") for n in range(number, number + 17)]
    changes = [TaskChange(key, task, msgspec.structs.replace(task, state="SUCCESS")) for key, task in waiting.values()]
    keys = writer.write(Batch(new=new, changed=changes))
    print(number, flush=True)
    waiting = {task.uuid: (key, task) for key, task in zip(keys, new)}
    number += 17
"""


def test_kill_9_loses_no_acknowledged_write(path: Path) -> None:
    chance = random.Random(7)
    number = 0
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITE, str(path), str(number)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=script_environment(),
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 0.25))
        process.send_signal(signal.SIGKILL)
        output, errors = process.communicate()
        assert not errors
        lines = [int(line) for line in output.split("\n")[:-1]]
        reader = open_reader(path)
        if lines:
            acknowledged = lines[-1] + 17
            for n in range(acknowledged):
                task = reader.task(uuid_of(n))
                assert task is not None
                if n < lines[-1] and n >= lines[0]:
                    assert task.state == "SUCCESS"
        before = reader.changes(0).sequence
        whole = [task.uuid for task in reader.tasks(Query(sort=(Sort("uuid"),)))]
        assert len(whole) == len(set(whole))
        with writing(path) as writer:
            # as the recorder does: continue with the first missing task
            number = next(n for n in range(10**6) if uuid_of(n) not in writer.load([uuid_of(n)]))
            assert reader.count() == len(list(reader.tasks(Query())))
            assert reader.changes(0).sequence >= before
        reader.close()
    assert number > 100


def test_reading_while_another_process_writes(path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(path), "0"], stdout=subprocess.PIPE, text=True, env=script_environment()
    )
    try:
        assert process.stdout is not None
        reader = open_reader(path)
        for line in process.stdout:
            if line == "ready\n":
                continue
            number = int(line)
            assert reader.task(uuid_of(number)) is not None
            assert reader.count() >= number + 17
            news = reader.changes(max(0, reader.status().sequence - 1))
            assert news.complete
            page = list(reader.tasks(Query(), limit=20))
            assert len({task.uuid for task in page}) == len(page) >= 17
            if number > 1000:
                break
        assert reader.status().segments > 15
        reader.close()
    finally:
        process.kill()
        process.communicate()


def test_readers_in_many_threads(path: Path) -> None:
    tasks = fill(path, 300)
    reader = open_reader(path)
    wrong: list[object] = []

    def read(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for _ in range(30):
                task = chance.choice(tasks)
                assert reader.task(task.uuid) == task
                assert len(list(reader.tasks(Query(), limit=30, offset=chance.randrange(200)))) == 30
                assert reader.count(Not(Term("name", "contains", chance.choice(["mail", "order"])))) > 0
        except BaseException as error:  # noqa: BLE001 (re-raised in the thread of the test)
            wrong.append(error)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader.close()
    assert wrong == []


def test_query_beyond_the_deadline_is_interrupted(path: Path) -> None:
    # without a text index, which would show at once that the text does not occur; non-ASCII, which is slow
    writer = open_writer(path, segment_tasks=20_000, text_index=False)
    writer.write(Batch(new=[make(n, args="ä" * 2000) for n in range(20_000)]))
    writer.close()
    reader = open_reader(path, time_limit=0.05)
    with pytest.raises(DeadlineExceeded, match="longer than"):
        reader.count(Term("", "contains", "nowhere to be found"))
    with pytest.raises(DeadlineExceeded):
        list(reader.tasks(Query(Term("args", "contains", "nowhere to be found"))))
    assert len(list(reader.tasks(Query(), limit=5))) == 5
    reader.close()
