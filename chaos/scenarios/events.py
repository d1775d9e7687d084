"""Faults of the events themselves, and of the disk."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaos.run import Run, ScenarioNotRun


class EventRecord:
    """All task events of the run, as the workers sent them, in order of arrival."""

    def __init__(self, run: Run) -> None:
        self._app = run.app
        self._receiver: Any = None
        self.events: list[dict[str, Any]] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        with self._app.connection_for_read() as connection:
            self._receiver = self._app.events.Receiver(connection, handlers={"*": self._add})
            self._receiver.on_consume_ready = lambda *_, **__: self._ready.set()
            for _ in self._receiver.consume(limit=None):
                pass

    def _add(self, event: dict[str, Any]) -> None:
        if event["type"].startswith("task-"):
            self.events.append({key: value for key, value in event.items() if key != "local_received"})

    def __enter__(self) -> "EventRecord":
        self._thread.start()
        if not self._ready.wait(30):
            raise TimeoutError("no connection for events after 30 s")
        return self

    def __exit__(self, *error: object) -> None:
        self._receiver.should_stop = True
        self._thread.join(10)

    def publish(self, events: list[dict[str, Any]]) -> None:
        """Send events again, unchanged: with their own times, senders and clocks."""
        with self._app.connection_for_write() as connection:
            dispatcher = self._app.events.Dispatcher(connection, enabled=False)
            with connection.Producer(exchange=dispatcher.exchange, serializer="json") as producer:
                for event in events:
                    producer.publish(event, routing_key=event["type"].replace("-", "."), retry=True)


def double_events(run: Run) -> None:
    """All task events of a calm run are published again: backwards, then twice in order."""
    run.start()
    run.start_worker("prefork", "main", concurrency=3)
    run.start_monitors()
    with EventRecord(run) as record:
        run.load.send_mixed(run.wait_for_start)
        run.wait_until_quiet()
        time.sleep(3)
    events = list(record.events)
    run.log(f"{len(events)} events are published three times again")
    for again in (events[::-1], events, events):
        record.publish(again)
    run.compare("30 s after", after=30)


def shuffle_events(run: Run) -> None:
    """The monitor is started after everything ended, and then receives all events in a random order."""
    run.start()
    run.start_worker("prefork", "main", concurrency=3)
    with EventRecord(run) as record:
        run.load.send_mixed(run.wait_for_start)
        run.wait_until_quiet()
        time.sleep(3)
    events = list(record.events)
    run.rng.shuffle(events)
    run.start_monitors()
    record.publish(events)
    run.log(f"{len(events)} events published in a random order")
    run.compare("30 s after", after=30)


@contextmanager
def _mount_disk(path: Path, megabytes: int) -> Iterator[Path]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill_disk(run: Run) -> None:
    """The disk with the store is full for about 30 s under load, then freed; then the monitor is restarted."""
    if os.geteuid() != 0:
        raise ScenarioNotRun("only root may mount a small file system")
    with _mount_disk(run.folder / "disk", 24) as disk:
        run.start()
        run.start_worker("prefork", "main", concurrency=3)
        run.start_monitors(data=disk / "data")
        try:
            run.load.send_mixed(run.wait_for_start)
            run.wait_until_quiet()
            filler = disk / "filler"
            with run.steady_load(10), run.interruption():
                filler.write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - 100_000))
                time.sleep(20)
                run.compare("while it is full")
                filler.unlink()
            run.wait_until_quiet()
            run.compare("30 s after it was freed", after=30)
            for monitor in run.monitors:
                monitor.stop()
                monitor.start()
            run.wait_until_capturing()
            run.compare("after a restart", after=20)
        finally:
            for monitor in run.monitors:
                monitor.stop()
