"""The demo as a user runs it: a separate process, real workers, Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from celery import Celery

from tests.helpers.servers import wait_for

COMMAND = [sys.executable, "-c", "from flower.demo.command import demo; demo()", "--no-web", "--seed", "1"]

#: Settings of another cluster, which must not be used by the demo; nothing listens on this port.
FOREIGN = {"CELERY_BROKER_URL": "redis://127.0.0.1:1/0", "CELERY_RESULT_BACKEND": "redis://127.0.0.1:1/0"}


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class RunningDemo:
    """A demo process; its output is read continuously, its temporary files are in `folder`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.output = ""
        self.seen: set[psutil.Process] = set()
        self.process = subprocess.Popen(
            [*COMMAND, *options],
            env={**os.environ, **FOREIGN, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    def wait_for_output(self, pattern: str) -> re.Match[str]:
        wait_for(f"{pattern!r} in {self.output!r}", lambda: re.search(pattern, self.output) is not None)
        found = re.search(pattern, self.output)
        assert found is not None
        return found

    def descendants(self) -> set[psutil.Process]:
        """All descendants found so far: an orphan is not found by walking down from its ancestor."""
        self.seen.update(psutil.Process(self.process.pid).children(recursive=True))
        return self.seen

    def child(self, word: str) -> psutil.Process:
        """A direct child process by a word of its command line, which its own child processes share."""
        self.descendants()
        children = psutil.Process(self.process.pid).children()
        return next(p for p in children if any(word in argument for argument in p.cmdline()))

    def end(self) -> int:
        status = self.process.wait(60)
        self.reader.join(10)
        return status

    def assert_nothing_left(self) -> None:
        # an exited process stays in the process list until its parent, or init, reaps it
        wait_for("the end of all processes", lambda: not any(is_alive(process) for process in self.seen))
        assert list(self.folder.iterdir()) == []


@contextmanager
def running(folder: Path, *options: str) -> Iterator[RunningDemo]:
    demo = RunningDemo(folder, *options)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.process.send_signal(signal.SIGTERM)
            demo.process.wait(60)


class EventCollector:
    """Collects the events of a running demo, as a Celery monitor does."""

    def __init__(self, url: str) -> None:
        self.events: list[dict[str, Any]] = []
        self.problem: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, args=(Celery(broker=url),), daemon=True)
        self._thread.start()

    def _listen(self, app: Celery) -> None:
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": self.events.append})
            while not self._stop.is_set():
                try:
                    receiver.capture(limit=None, timeout=0.5, wakeup=False)
                except TimeoutError:
                    continue

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def events_of_type(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in list(self.events) if event["type"] == kind]


def missing(collector: EventCollector) -> list[str]:
    """The situations that pages should be able to show, of which there is no event yet."""
    failures = "\n".join(e["exception"] for e in collector.events_of_type("task-failed"))
    revoked = collector.events_of_type("task-revoked")
    names = {e["name"] for e in collector.events_of_type("task-received")}
    sent = collector.events_of_type("task-sent")
    expected = {
        "declined card": "CardDeclined" in failures,
        "sold out": "OutOfStock" in failures,
        "broken picture": "cannot identify image" in failures,
        "mail given up": "SMTPServerDisconnected" in failures,
        "traceback": all("Traceback" in e["traceback"] for e in collector.events_of_type("task-failed")),
        "retry": len(collector.events_of_type("task-retried")) >= 4,
        "rejected": bool(collector.events_of_type("task-rejected")),
        "revoked while waiting": any(not e["terminated"] and not e["expired"] for e in revoked),
        "expired": any(e["expired"] for e in revoked),
        "terminated": any(e["terminated"] for e in revoked),
        "progress": any(e.get("current") for e in collector.events_of_type("task-progress")),
        "chord done": "shop.publish_gallery" in names,
        "workflow": any(e["parent_id"] for e in sent) and any(e["root_id"] != e["uuid"] for e in sent),
        "queues": {e["queue"] for e in sent} >= {"default", "mail", "media"},
        "workers": {e["hostname"] for e in collector.events_of_type("worker-heartbeat")}
        >= {"orders@shop", "mail@shop"},
        "all task types": len(names) == 13,
    }
    return [what for what, is_there in expected.items() if not is_there]


def test_all_situations_occur_and_ctrl_c_removes_everything(tmp_path: Path) -> None:
    with running(tmp_path, "--tasks", "60", "--rate", "30") as demo:
        collector = EventCollector(demo.wait_for_output(r"redis://[^\s)]+").group())
        demo.wait_for_output("2 workers, 30 tasks/s, 60 tasks in total")
        wait_for_all(collector)
        demo.wait_for_output("All tasks have been sent")
        collector.stop()
        assert len({e["uuid"] for e in collector.events_of_type("task-sent")}) <= 60 + len(
            collector.events_of_type("task-retried")
        )
        assert len(demo.descendants()) >= 1 + 2 * 3  # a broker, and two workers with two processes each

        demo.process.send_signal(signal.SIGINT)
        assert demo.end() == 0
    assert "All demo data removed" in demo.output
    demo.assert_nothing_left()


def wait_for_all(collector: EventCollector) -> None:
    try:
        wait_for("all situations", lambda: not missing(collector), timeout=90)
    except TimeoutError:
        pytest.fail(f"never seen: {missing(collector)}")


def test_dead_worker_ends_the_demo_with_its_log(tmp_path: Path) -> None:
    with running(tmp_path, "--rate", "5") as demo:
        demo.wait_for_output("Demo running")
        demo.child("orders@shop").kill()
        assert demo.end() == 1
    assert "worker-orders exited with status -9" in demo.output
    demo.assert_nothing_left()


def test_signal_during_startup_removes_everything(tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        demo.wait_for_output("Starting demo")
        wait_for("a first child", lambda: bool(demo.descendants()))
        demo.process.send_signal(signal.SIGTERM)
        assert demo.end() == 0
    demo.assert_nothing_left()


def test_port_in_use_is_reported(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with running(tmp_path, "--web", "--port", port) as demo:
            assert demo.end() == 1
    assert f"Port {port} is in use (choose another port with --port)" in demo.output
    demo.assert_nothing_left()
