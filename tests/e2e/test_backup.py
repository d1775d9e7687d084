"""A backup of a running product under load, and the restored store: complete, consistent, and without a pause."""

import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx

from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Query
from tests.helpers.event_sender import Stream
from tests.helpers.product_process import Product
from tests.helpers.servers import BrokerServer, Redis, wait_for

#: Seconds without a new write, and of one request, that count as a pause. Both take a fraction of a second.
MAX_PAUSE = 3.0


class Watch(threading.Thread):
    """Requests the status of the product continuously: the slowest response and the longest time without a write."""

    def __init__(self, product: Product) -> None:
        super().__init__(daemon=True)
        self._url = f"{product.http.base_url}/api/v1/status"
        self._finished = threading.Event()
        self.slowest = self.longest = 0.0
        self.requests = 0

    def run(self) -> None:
        sequence, written_at = -1, time.monotonic()
        with httpx.Client(timeout=30) as http:
            while not self._finished.is_set():
                started_at = time.monotonic()
                current = http.get(self._url).json()["store"]["sequence"]
                now = time.monotonic()
                self.slowest = max(self.slowest, now - started_at)
                if current != sequence:
                    sequence, written_at = current, now
                self.longest = max(self.longest, now - written_at)
                self.requests += 1
                time.sleep(0.02)

    def stop(self) -> None:
        self._finished.set()
        self.join()


def succeeded(path: Path) -> set[str]:
    with closing(open_reader(path)) as reader:
        return {task.uuid for task in reader.tasks(Query(sort=())) if task.state == "SUCCESS"}


def flower(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "flower", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )


def test_backup_under_load_is_complete_and_pauses_nothing(broker: BrokerServer, tmp_path: Path) -> None:
    url = broker.url
    with Product(url) as product:
        product.wait_until_capturing()
        with Stream(url, rate=800) as stream:
            wait_for("tasks", lambda: product.get("/api/v1/status")["store"]["task_count"] > 1_500)
            watch = Watch(product)
            watch.start()
            recorded = []
            for number in range(3):
                recorded.append(succeeded(product.db))
                done = flower("backup", tmp_path / f"backup-{number}", "--db", product.db)
                assert done.returncode == 0, done.stderr
            watch.stop()
        wait_for("all tasks", lambda: set(stream.sent) <= succeeded(product.db))
        in_use = flower("restore", tmp_path / "backup-0", "--db", product.db)
        assert in_use.returncode == 3
        assert "is in use by process" in in_use.stderr
    print(f"slowest response {watch.slowest:.3f} s, longest time without a write {watch.longest:.3f} s")
    assert watch.requests > 10
    assert watch.slowest < MAX_PAUSE
    assert watch.longest < MAX_PAUSE
    for number, before in enumerate(recorded):
        restored = tmp_path / f"restored-{number}"
        done = flower("restore", tmp_path / f"backup-{number}", "--db", restored)
        assert done.returncode == 0, done.stderr
        found = succeeded(restored)
        assert before <= found <= set(stream.sent)
        with closing(open_writer(restored, text_index=False)) as writer:
            counted = sum(each.events.get("task-succeeded", (0, 0.0))[0] for each in writer.counters())
            assert counted == len(found)
            # tasks that were acknowledged before they became rows
            assert all(task.state != "SUCCESS" for task in writer.parked_tasks())
        with closing(open_reader(restored)) as reader:
            assert reader.status().damaged == ()
            assert reader.gaps()[-1].reason == "the store was restored from a backup"


def test_restored_store_continues_recording(redis_server: Redis, tmp_path: Path) -> None:
    url = redis_server.url
    with Product(url) as product:
        product.wait_until_capturing()
        with Stream(url, rate=200) as stream:
            wait_for("tasks", lambda: product.get("/api/v1/status")["store"]["task_count"] > 300)
            assert flower("backup", tmp_path / "backup", "--db", product.db).returncode == 0
        wait_for("all tasks", lambda: set(stream.sent) <= succeeded(product.db))
    assert flower("restore", tmp_path / "backup", "--db", tmp_path / "restored").returncode == 0
    before = succeeded(tmp_path / "restored")
    with Product(url, db=tmp_path / "restored") as product:
        product.wait_until_capturing()
        with Stream(url, rate=200) as later:
            time.sleep(1.0)
        wait_for("new tasks", lambda: set(later.sent) <= succeeded(product.db))
        assert before <= succeeded(product.db)
        reasons = [gap["reason"] for gap in product.get("/api/v1/gaps")["gaps"]]
        assert "the store was restored from a backup" in reasons
