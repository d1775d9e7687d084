"""The demo as a person runs it: a process of its own, real workers, Ctrl-C."""

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

#: Settings of somebody's real cluster, which must not reach the shop: nobody listens there.
FOREIGN = {"CELERY_BROKER_URL": "redis://127.0.0.1:1/0", "CELERY_RESULT_BACKEND": "redis://127.0.0.1:1/0"}


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class RunningDemo:
    """A demo whose output is read as it comes and whose temporary files are in a folder of ours."""

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

    def family(self) -> set[psutil.Process]:
        """All descendants, remembered: an orphan would no longer be found by walking down."""
        self.seen.update(psutil.Process(self.process.pid).children(recursive=True))
        return self.seen

    def child(self, word: str) -> psutil.Process:
        """A direct child by a word of its command line (its own children bear the same)."""
        self.family()
        children = psutil.Process(self.process.pid).children()
        return next(p for p in children if any(word in argument for argument in p.cmdline()))

    def end(self) -> int:
        status = self.process.wait(60)
        self.reader.join(10)
        return status

    def assert_nothing_left(self) -> None:
        # one that has ended stays in the list of processes until its parent, or init, has taken note
        wait_for("the end of all processes", lambda: not any(is_alive(process) for process in self.seen), 10)
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


class Audience:
    """Collects the events of a running demo, as any Celery monitor would."""

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

    def leave(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in list(self.events) if event["type"] == kind]


def missing(audience: Audience) -> list[str]:
    """What a page should have to show and the events have not told yet."""
    failures = "\n".join(e["exception"] for e in audience.of("task-failed"))
    revoked = audience.of("task-revoked")
    names = {e["name"] for e in audience.of("task-received")}
    sent = audience.of("task-sent")
    wanted = {
        "declined card": "CardDeclined" in failures,
        "sold out": "OutOfStock" in failures,
        "broken picture": "cannot identify image" in failures,
        "mail given up": "SMTPServerDisconnected" in failures,
        "traceback": all("Traceback" in e["traceback"] for e in audience.of("task-failed")),
        "retry": len(audience.of("task-retried")) >= 4,
        "rejected": bool(audience.of("task-rejected")),
        "revoked while waiting": any(not e["terminated"] and not e["expired"] for e in revoked),
        "expired": any(e["expired"] for e in revoked),
        "terminated": any(e["terminated"] for e in revoked),
        "progress": any(e.get("current") for e in audience.of("task-progress")),
        "chord done": "shop.publish_gallery" in names,
        "workflow": any(e["parent_id"] for e in sent) and any(e["root_id"] != e["uuid"] for e in sent),
        "queues": {e["queue"] for e in sent} >= {"default", "mail", "media"},
        "workers": {e["hostname"] for e in audience.of("worker-heartbeat")} >= {"orders@shop", "mail@shop"},
        "all kinds of task": len(names) == 13,
    }
    return [what for what, is_there in wanted.items() if not is_there]


def test_everything_a_page_can_show_happens_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with running(tmp_path, "--tasks", "60", "--rate", "30") as demo:
        audience = Audience(demo.wait_for_output(r"redis://\S+(?=,)").group())
        demo.wait_for_output("two workers, 30 tasks a second, 60 tasks in all")
        wait_for_all(audience)
        demo.wait_for_output("All tasks are sent")
        audience.leave()
        assert len({e["uuid"] for e in audience.of("task-sent")}) <= 60 + len(audience.of("task-retried"))
        assert len(demo.family()) >= 1 + 2 * 3  # a broker, and two workers with two processes each

        demo.process.send_signal(signal.SIGINT)
        assert demo.end() == 0
    assert "nothing is left behind" in demo.output
    demo.assert_nothing_left()


def wait_for_all(audience: Audience) -> None:
    try:
        wait_for("the whole programme", lambda: not missing(audience), timeout=90)
    except TimeoutError:
        pytest.fail(f"never seen: {missing(audience)}")


def test_a_dead_worker_ends_the_demo_with_its_last_words(tmp_path: Path) -> None:
    with running(tmp_path, "--rate", "5") as demo:
        demo.wait_for_output("An order shop is at work")
        demo.child("orders@shop").kill()
        assert demo.end() == 1
    assert "worker-orders ended with status -9" in demo.output
    demo.assert_nothing_left()


def test_a_signal_while_starting_leaves_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        demo.wait_for_output("Opening the shop")
        wait_for("a first child", lambda: bool(demo.family()))
        demo.process.send_signal(signal.SIGTERM)
        assert demo.end() == 0
    demo.assert_nothing_left()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with running(tmp_path, "--web", "--port", port) as demo:
            assert demo.end() == 1
    assert f"port {port} is taken (choose another with --port)" in demo.output
    demo.assert_nothing_left()
