"""A store with the tasks of a small shop, identical in every test, including hostile texts."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from flower.records import Attempt, Gap, Task, Worker
from flower.store.factory import open_writer
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch, Writer

#: The current time of the sample.
NOW = time.time()

TRACEBACK = """Traceback (most recent call last):
  File "/app/shop/billing.py", line 40, in charge
    raise CardDeclined(order_id)
shop.billing.CardDeclined: order {number} declined"""


def order(number: int, **fields: Any) -> Task:
    """Task `number`, one minute older than the previous one."""
    received = NOW - 60.0 * number
    values: dict[str, Any] = {
        "name": "shop.order" if number % 3 else "billing.charge",
        "state": "SUCCESS",
        "hostname": f"celery@w{number % 2 + 1}",
        "sent": received - 0.5,
        "received": received,
        "started": received + 0.25,
        "timestamp": received + 2,
        "runtime": 0.1 * (number + 1),
        "queue": "celery",
        "args": f"({number}, 'ORD-{number:05d}')",
        "kwargs": f"{{'order_id': {number}, 'customer': {{'id': {7000 + number}}}}}",
        "result": "'ok'",
        **fields,
    }
    return Task(uuid=f"order-{number}", **values)


def failed(number: int) -> Task:
    text = TRACEBACK.format(number=number)
    words = f"CardDeclined('order {number} declined')"
    return order(number, state="FAILURE", exception=words, traceback=text, result=None)


HOSTILE = order(
    90,
    name="evil\x1b]0;owned\x07\x9b31m\u202etask",
    args="('\x1b[2J', '\\t')",
    exception="=cmd|' /C calc'!A0",
    traceback="line one\n\x1b[31mline two\u2028",
    state="FAILURE",
    result="a\tb\nc",
)
FAMILY = [
    order(100, root_id="order-100", earlier=(Attempt(number=0, state="RETRY", exception="Busy()", runtime=0.5),)),
    order(101, root_id="order-100", parent_id="order-100"),
    order(102, root_id="order-100", parent_id="order-101", data={"task-progress": {"percent": 40}}),
]
TASKS = [*(failed(number) if number % 5 == 0 else order(number) for number in range(30)), HOSTILE, *FAMILY]
WORKERS = [
    Worker("celery@w1", pid=31, heartbeat=NOW, freq=1e6, active=1, processed=10, loadavg=(1.0, 2.0, 3.0)),
    Worker("celery@w2", online=False, heartbeat=NOW - 3_600),
]


def fill(writer: Writer) -> None:
    writer.write(Batch(new=TASKS, workers=WORKERS))


def in_memory() -> MemoryReader:
    store = MemoryStore()
    fill(MemoryWriter(store))
    return MemoryReader(store)


def on_disk(path: Path) -> Path:
    writer = open_writer(path, segment_tasks=20)
    fill(writer)
    writer.write(Batch(gaps=[Gap(NOW - 60.0, NOW - 30.0, "the recorder ended unexpectedly", "recorder_crashed")]))
    writer.close()
    return path


def run(*arguments: str, folder: Path, given: bytes | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `flower` in a folder, with only `settings` in the environment."""
    done = subprocess.run(
        [sys.executable, "-m", "flower", *arguments],
        capture_output=True, input=given, timeout=60, cwd=folder, check=False, env={"TZ": "UTC", **settings},
    )  # fmt: skip
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    )
