"""The drain process and its recorder, on a real Redis: what was published is in the store, whatever is killed."""

import dataclasses
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from flower.capture.drain.launcher import DrainUnavailable, find_drains, start_drain
from flower.capture.drain.settings import DrainSettings
from flower.recorder_settings import STOP_MESSAGE
from flower.store.factory import open_reader
from tests.capture.test_interruption import Recordings
from tests.helpers.servers import Redis, wait_for


class DrainedRecordings(Recordings):
    """A recorder process on one store, which is killed and restarted."""

    def __init__(self, broker: Redis, db: Path, **options: Any) -> None:
        super().__init__(broker, db, **{"drain_linger": 30.0, "queue_expires": 30.0, **options})
        self.settings = dataclasses.replace(self.settings, drain_process=True)
        self.process: subprocess.Popen[bytes] | None = None

    def change(self, **options: Any) -> None:
        self.settings = dataclasses.replace(
            self.settings, capture=dataclasses.replace(self.settings.capture, **options)
        )

    def start(self) -> None:
        started_at = time.time()
        command = [sys.executable, "-m", "flower.recorder_process"]
        process = self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        settings = pickle.dumps(self.settings)
        process.stdin.write(len(settings).to_bytes(8, "big") + settings)
        process.stdin.flush()
        wait_for("capture", lambda: self.is_capturing(started_at))

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)

    def stop(self, *, planned: bool = True) -> None:
        """A planned stop, or the end of the web server, which closes the pipe as well."""
        assert self.process is not None
        self.process.communicate(STOP_MESSAGE if planned else None, timeout=20)

    @property
    def drain(self) -> psutil.Process:
        return psutil.Process(self.status()["capture"]["drain_pid"])

    def wait_for_count(self, count: int) -> None:
        wait_for(f"{count} tasks", lambda: self.count() >= count)
        assert self.count() == count

    def counted_events(self) -> int:
        reader = open_reader(self.settings.db)
        try:
            return sum(count for each in reader.counters(0).changed for count, _ in each.events.values())
        finally:
            reader.close()


@pytest.fixture
def recordings(module_redis: Redis, tmp_path: Path) -> Iterator[DrainedRecordings]:
    made = DrainedRecordings(module_redis, tmp_path / "store")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()
    for link in find_drains(str(tmp_path / "store" / "drain")):
        psutil.Process(link.welcome.pid).kill()
        link.close()


def numbered(start: int, end: int) -> list[str]:
    return [f"task-{number}" for number in range(start, end)]


def test_killing_the_recorder_under_load_loses_and_repeats_nothing(recordings: DrainedRecordings) -> None:
    recordings.start()
    drain = recordings.drain
    sent = 0
    stop = threading.Event()

    def send() -> None:
        nonlocal sent
        while not stop.is_set():
            recordings.send(*numbered(sent, sent + 100))
            sent += 100

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for _ in range(3):
            target = sent + 300
            wait_for("more events", lambda: sent >= target)  # noqa: B023 - called here
            recordings.kill()
            recordings.start()
    finally:
        stop.set()
        sender.join()
    recordings.wait_for_count(sent)
    wait_for("the counters", lambda: recordings.counted_events() >= sent)
    assert recordings.counted_events() == sent
    assert recordings.drain == drain
    assert recordings.gaps() == []


def test_planned_restart_loses_nothing(recordings: DrainedRecordings) -> None:
    recordings.start()
    recordings.send(*numbered(0, 50))
    recordings.stop()
    recordings.send(*numbered(50, 100))
    recordings.start()
    recordings.wait_for_count(100)
    assert recordings.gaps() == []


def test_loss_of_the_web_server_loses_nothing_even_without_linger(recordings: DrainedRecordings) -> None:
    recordings.change(drain_linger=0.0)
    recordings.start()
    recordings.stop(planned=False)
    recordings.send(*numbered(0, 50))
    recordings.start()
    recordings.wait_for_count(50)
    assert recordings.gaps() == []


def test_drain_exits_at_once_after_a_planned_stop_without_linger(recordings: DrainedRecordings) -> None:
    recordings.change(drain_linger=0.0)
    recordings.start()
    drain = recordings.drain
    recordings.stop()
    drain.wait(60)


def test_drain_exits_after_the_linger_time_and_the_next_start_makes_a_gap(recordings: DrainedRecordings) -> None:
    recordings.change(drain_linger=0.5)
    recordings.start()
    drain = recordings.drain
    stopped = time.time()
    recordings.stop()
    drain.wait(60)
    recordings.start()
    wait_for("a gap", lambda: bool(recordings.gaps()))
    (gap,) = recordings.gaps()
    assert gap.cause == "recorder_stopped"
    assert gap.start == pytest.approx(stopped, abs=2.5)


def test_drain_of_a_crashed_recorder_exits_when_its_events_expire(recordings: DrainedRecordings) -> None:
    recordings.change(queue_expires=0.5)
    recordings.start()
    drain = recordings.drain
    recordings.kill()
    drain.wait(60)


def test_drain_exits_when_the_store_is_removed(recordings: DrainedRecordings) -> None:
    import shutil

    recordings.start()
    drain = recordings.drain
    recordings.kill()
    shutil.rmtree(recordings.settings.db)
    drain.wait(60)


def test_a_drain_with_new_settings_takes_over_without_loss(recordings: DrainedRecordings) -> None:
    recordings.start()
    first = recordings.drain
    recordings.send(*numbered(0, 50))
    recordings.stop()
    recordings.send(*numbered(50, 100))
    recordings.change(memory_limit=32 << 20)
    recordings.start()
    stop, sent = threading.Event(), 100

    def send() -> None:
        nonlocal sent
        while not stop.is_set():
            recordings.send(*numbered(sent, sent + 10))
            sent += 10

    sender = threading.Thread(target=send)
    sender.start()
    try:
        first.wait(60)
        wait_for("the new drain", lambda: recordings.drain != first)
    finally:
        stop.set()
        sender.join()
    recordings.wait_for_count(sent)
    assert recordings.gaps() == []


def test_events_are_spilled_to_disk_while_no_recorder_runs(recordings: DrainedRecordings) -> None:
    recordings.change(memory_limit=100_000)
    recordings.start()
    recordings.kill()
    from tests.helpers.capture_session import CaptureSession

    CaptureSession(recordings.app, None).send(*numbered(0, 3_000), args="x" * 500)
    recordings.start()
    recordings.wait_for_count(3_000)
    assert recordings.gaps() == []


def test_a_killed_drain_is_restarted_and_makes_a_gap(recordings: DrainedRecordings) -> None:
    recordings.start()
    first = recordings.drain
    killed = time.time()
    first.kill()
    wait_for("a new drain", lambda: recordings.status()["capture"]["drain_pid"] not in (None, first.pid))
    wait_for("a gap", lambda: bool(recordings.gaps()))
    (gap,) = recordings.gaps()
    assert gap.start == pytest.approx(killed, abs=2.5)
    recordings.send("after")
    recordings.wait_for_count(1)


def test_killing_all_processes_makes_a_gap(recordings: DrainedRecordings) -> None:
    recordings.start()
    drain = recordings.drain
    killed = time.time()
    drain.kill()
    recordings.kill()
    time.sleep(1.0)
    restarted = time.time()
    recordings.start()
    wait_for("a gap", lambda: bool(recordings.gaps()))
    (gap,) = recordings.gaps()
    assert gap.cause == "recorder_crashed"
    assert gap.start == pytest.approx(killed, abs=2.5)
    assert gap.end is not None
    assert gap.end > restarted


def test_broker_restart_makes_a_gap_through_the_drain(tmp_path: Path) -> None:
    with Redis() as server:
        recordings = DrainedRecordings(server, tmp_path / "store", drain_linger=0.0)
        recordings.start()
        recordings.send("before")
        recordings.wait_for_count(1)
        server.stop()
        wait_for("the loss", lambda: not recordings.status()["capture"]["connected"])
        server.start()
        wait_for("the return", lambda: recordings.status()["capture"]["connected"])
        recordings.send("after")
        recordings.wait_for_count(2)
        (gap,) = recordings.gaps()
        assert gap.cause == "broker_unreachable"
        recordings.stop()


def test_the_error_of_a_failed_drain_process_is_logged(
    recordings: DrainedRecordings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "drain"
    # The configuration refuses such a time.
    capture = dataclasses.replace(recordings.settings.capture, queue_expires="none")  # type: ignore[arg-type]
    with pytest.raises(DrainUnavailable):
        start_drain(DrainSettings(capture, str(folder), "0"))
    assert "the drain process failed:\nTraceback" in caplog.text
    assert "TypeError" in caplog.text
    assert not list(folder.iterdir())


def test_sockets_of_killed_drains_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    assert find_drains(str(tmp_path)) == []
    assert not path.exists()


def test_long_path_of_a_store(module_redis: Redis, tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    recordings = DrainedRecordings(module_redis, folder / "store", drain_linger=0.0)
    recordings.start()
    recordings.send("one")
    recordings.wait_for_count(1)
    assert recordings.status()["capture"]["drain_pid"]
    recordings.stop()


def test_socket_and_its_directory_are_private(recordings: DrainedRecordings) -> None:
    recordings.start()
    folder = Path(recordings.settings.db) / "drain"
    assert folder.stat().st_mode & 0o777 == 0o700
    (path,) = folder.glob("*.sock")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "amqp" not in " ".join(recordings.drain.cmdline())


def test_signal_to_the_recorder_is_a_planned_stop(recordings: DrainedRecordings) -> None:
    recordings.change(drain_linger=0.0)
    recordings.start()
    drain = recordings.drain
    assert recordings.process is not None
    recordings.process.send_signal(signal.SIGTERM)
    recordings.process.wait(60)
    drain.wait(60)


def test_recorder_receives_itself_if_no_drain_can_be_started(module_redis: Redis, tmp_path: Path) -> None:
    recordings = DrainedRecordings(module_redis, tmp_path / "store")
    with recordings.recording():
        pass
    for link in find_drains(str(tmp_path / "store" / "drain")):
        psutil.Process(link.welcome.pid).kill()
        link.close()
    folder = tmp_path / "store" / "drain"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.touch()
    recordings.start()
    recordings.send("one")
    recordings.wait_for_count(1)
    assert "drain_pid" not in recordings.status()["capture"]
    recordings.stop()
