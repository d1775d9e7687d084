"""Gaps for the time in which no recorder was running."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from flower.capture.interruption import find_interruption
from flower.capture.settings import settings_from_app
from flower.recorder_process import run_recorder
from flower.recorder_settings import RecorderSettings
from flower.records import Gap
from flower.store.factory import open_reader
from tests.helpers.capture_session import CaptureSession
from tests.helpers.servers import BrokerServer, RabbitMQ, Redis, wait_for


class Recordings:
    """Starts a recorder on one store several times."""

    def __init__(self, broker: BrokerServer, db: Path, **options: Any) -> None:
        self.app = Celery("recordings", broker=broker.url, set_as_current=False)
        capture = settings_from_app(self.app, enable_events=False, **options)
        self.settings = RecorderSettings(db=str(db), capture=capture)

    @contextmanager
    def recording(self) -> Any:
        stop, ready = threading.Event(), threading.Event()
        thread = threading.Thread(target=run_recorder, args=(self.settings, stop, ready.set))
        started_at = time.time()
        thread.start()
        try:
            wait_for("the store", ready.is_set)
            wait_for("capture", lambda: self.is_capturing(started_at))
            yield
        finally:
            stop.set()
            thread.join(20)

    def is_capturing(self, started_at: float) -> bool:
        status = self.status()
        return bool(status.get("at", 0) > started_at and status["running"] and status["capture"]["connected"])

    def status(self) -> dict[str, Any]:
        reader = open_reader(self.settings.db)
        try:
            return dict(reader.recorder_status())
        finally:
            reader.close()

    def gaps(self) -> list[Gap]:
        reader = open_reader(self.settings.db)
        try:
            return list(reader.gaps())
        finally:
            reader.close()

    def count(self) -> int:
        reader = open_reader(self.settings.db)
        try:
            return reader.count()
        finally:
            reader.close()

    def send(self, *uuids: str) -> None:
        CaptureSession(self.app, None).send(*uuids)


def test_first_start_of_a_store_makes_no_gap(module_redis: Redis, tmp_path: Path) -> None:
    recordings = Recordings(module_redis, tmp_path / "store")
    with recordings.recording():
        recordings.send("one")
        wait_for("the event", lambda: recordings.count() == 1)
    assert recordings.gaps() == []


def test_time_in_which_the_recorder_was_stopped_is_a_gap_on_redis(module_redis: Redis, tmp_path: Path) -> None:
    recordings = Recordings(module_redis, tmp_path / "store")
    with recordings.recording():
        recordings.send("one")
        wait_for("the event", lambda: recordings.count() == 1)
        stopping = time.time()
    time.sleep(1.5)
    starting = time.time()
    with recordings.recording():
        wait_for("a gap", lambda: bool(recordings.gaps()))
    (gap,) = recordings.gaps()
    assert gap.cause == "recorder_stopped"
    assert stopping - 1.5 <= gap.start <= stopping + 0.5
    assert gap.end is not None
    assert starting <= gap.end <= starting + 5


def test_time_after_a_crash_of_the_recorder_is_a_gap_on_redis(module_redis: Redis, tmp_path: Path) -> None:
    recordings = Recordings(module_redis, tmp_path / "store")
    code = (
        "import pickle, sys, threading; from flower.recorder_process import run_recorder;"
        "run_recorder(pickle.load(sys.stdin.buffer), threading.Event(), lambda: None)"
    )
    started_at = time.time()
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert process.stdin is not None
    import pickle

    pickle.dump(recordings.settings, process.stdin)
    process.stdin.close()
    wait_for("capture", lambda: recordings.is_capturing(started_at))
    recordings.send("one")
    wait_for("the event", lambda: recordings.count() == 1)
    killed = time.time()
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    with recordings.recording():
        wait_for("a gap", lambda: bool(recordings.gaps()))
    (gap,) = recordings.gaps()
    assert gap.cause == "recorder_crashed"
    assert killed - 2.5 <= gap.start <= killed + 0.1


def test_rabbitmq_keeps_the_events_of_a_stopped_recorder_without_a_gap(
    rabbitmq_server: RabbitMQ, tmp_path: Path
) -> None:
    recordings = Recordings(rabbitmq_server, tmp_path / "store")
    with recordings.recording():
        recordings.send("one")
        wait_for("the event", lambda: recordings.count() == 1)
    recordings.send("meanwhile")
    with recordings.recording():
        wait_for("the event", lambda: recordings.count() == 2)
    assert recordings.gaps() == []


@pytest.mark.parametrize(
    ("options", "prepare", "cause"),
    [
        ({"queue_expires": 1.0}, lambda recordings: time.sleep(2.5), "queue_expired"),
        ({"max_length": 10}, lambda recordings: recordings.send(*map(str, range(30))), "queue_overflow"),
    ],
)
def test_events_that_rabbitmq_did_not_keep_make_a_gap(
    rabbitmq_server: RabbitMQ, tmp_path: Path, options: dict[str, Any], prepare: Callable[[Any], None], cause: str
) -> None:
    recordings = Recordings(rabbitmq_server, tmp_path / "store", **options)
    with recordings.recording():
        stopping = time.time()
    prepare(recordings)
    with recordings.recording():
        wait_for("a gap", lambda: bool(recordings.gaps()))
    (gap,) = recordings.gaps()
    assert gap.cause == cause
    assert stopping - 1.5 <= gap.start <= stopping + 0.5


def test_restart_of_rabbitmq_without_a_recorder_is_a_gap(tmp_path: Path) -> None:
    with RabbitMQ() as server:
        recordings = Recordings(server, tmp_path / "store")
        with recordings.recording():
            recordings.send("one")
            wait_for("the event", lambda: recordings.count() == 1)
            stopping = time.time()
        recordings.send("meanwhile")
        server.stop()
        server.start()
        with recordings.recording():
            wait_for("a gap", lambda: bool(recordings.gaps()))
        (gap,) = recordings.gaps()
        assert gap.cause == "broker_restarted"
        assert stopping - 3.5 <= gap.start <= stopping  # 2 s before the last event: see _ROUTING_TIME
        with recordings.recording():
            pass
        assert recordings.gaps() == [gap]


def test_the_later_of_two_known_times_counts() -> None:
    status = {"running": True, "capture": {"complete_until": 20.0}}
    found = find_interruption(b'{"complete_until": 10.0}', status)
    assert found is not None
    assert (found.since, found.cause) == (20.0, "recorder_crashed")
    found = find_interruption(b'{"complete_until": 30.0}', {**status, "running": False})
    assert found is not None
    assert (found.since, found.cause) == (30.0, "recorder_stopped")


def test_status_of_an_earlier_version_and_invalid_content() -> None:
    found = find_interruption(b"", {"running": False, "last_event": 5.0})
    assert found is not None
    assert found.since == 5.0
    assert find_interruption(b"not json", {}) is None
    future = find_interruption(b'{"complete_until": 1e12}', {})
    assert future is not None
    assert future.since <= time.time()
