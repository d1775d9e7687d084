"""Events of real workers are enabled at once, and the time in which they were disabled is a gap."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flower.capture import task_event_monitor
from tests.helpers.capture_session import CaptureSession
from tests.helpers.servers import BrokerServer

MakeRig = Callable[..., CaptureSession]


@contextmanager
def start_worker(
    url: str, folder: Path, name: str, *options: str, remote_control: bool = True
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of a solo pool; without -E unless it is in the options."""
    (folder / "proj.py").write_text(
        f"from celery import Celery\napp = Celery('proj', broker={url!r})\n"
        f"app.conf.worker_enable_remote_control = {remote_control}\n"
        "@app.task(name='add')\ndef add(a, b): return a + b\n"
    )
    command = [sys.executable, "-m", "celery", "-A", "proj", "worker", "-P", "solo", "-l", "warning", "-n", name]
    worker = subprocess.Popen(
        [*command, "--without-mingle", "--without-gossip", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait(60)


def disabled_gaps(session: CaptureSession) -> list[Any]:
    return [gap for gap in session.gaps if gap.cause == "worker_events_disabled"]


def test_task_events_of_a_new_worker_are_enabled_at_its_first_event(
    broker: BrokerServer, rig: MakeRig, tmp_path: Path
) -> None:
    session = rig(broker.url, options={"enable_events": True, "enable_interval": 60.0})
    started = time.time()
    with start_worker(broker.url, tmp_path, "new@shop"):
        session.until("its first event", lambda: any(event.hostname == "new@shop" for event in session.events))
        seen = time.time()
        session.until("the gap", lambda: bool(disabled_gaps(session)))
        (gap,) = disabled_gaps(session)
        assert gap.worker == "new@shop"
        assert started - 2 <= gap.start <= gap.end
        assert seen - 5 <= gap.end <= time.time()
        session.app.send_task("add", (1, 2), task_id="recorded")
        session.until("the task", lambda: "recorded" in session.uuids)


def test_worker_with_task_events_has_no_gap(broker: BrokerServer, rig: MakeRig, tmp_path: Path) -> None:
    session = rig(broker.url, options={"enable_events": True, "enable_interval": 0.5})
    with start_worker(broker.url, tmp_path, "on@shop", "-E"):
        enabler = session.capture._enabler
        session.until("a reply", lambda: "on@shop" in enabler._confirmed)
        session.read(0.5)
        assert disabled_gaps(session) == []


def test_gap_of_events_that_were_disabled_meanwhile_begins_at_the_last_confirmation(
    broker: BrokerServer, rig: MakeRig, tmp_path: Path
) -> None:
    session = rig(broker.url, options={"enable_events": True, "enable_interval": 2.0})
    with start_worker(broker.url, tmp_path, "w@shop"):
        session.until("the gap of its start", lambda: len(disabled_gaps(session)) == 1)
        disabled = time.time()
        session.app.control.broadcast("disable_events", reply=True, timeout=2, destination=["w@shop"], limit=1)
        session.until("the gap", lambda: len(disabled_gaps(session)) == 2)
        gap = disabled_gaps(session)[1]
        assert disabled - 4 <= gap.start <= disabled + 1
        assert disabled <= gap.end <= time.time()


def without_events(session: CaptureSession) -> list[dict[str, Any]]:
    return list(session.capture.status()["workers_without_events"])


def test_a_worker_without_dispatcher_is_reported_until_it_stops(
    broker: BrokerServer, rig: MakeRig, tmp_path: Path
) -> None:
    started = time.time()
    session = rig(broker.url, options={"enable_events": True, "enable_interval": 1.0})
    with start_worker(broker.url, tmp_path, "mute@shop", "--without-heartbeat"):
        session.until("the report", lambda: bool(without_events(session)), 30)
        (report,) = without_events(session)
        assert (report["name"], report["cause"], report["tasks"]) == ("mute@shop", "no_dispatcher", None)
        assert started <= report["since"] <= time.time()
        assert "mute@shop" not in session.capture._enabler._confirmed
        session.until("another reply", lambda: session.capture._enabler._failed["mute@shop"][1] > report["since"], 30)
        assert without_events(session) == [report]
    session.until("the end of the report", lambda: not without_events(session), 30)


@pytest.mark.parametrize("enabling", [True, False])
def test_a_worker_that_runs_tasks_without_events_is_reported_until_its_first_event(
    broker: BrokerServer, rig: MakeRig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, enabling: bool
) -> None:
    monkeypatch.setattr(task_event_monitor, "SETTLING_TIME", 1.0)
    monkeypatch.setattr(task_event_monitor, "EVENT_DELAY", 1.0)
    url = broker.url
    session = rig(url, options={"enable_events": enabling, "enable_interval": 1.0})

    def await_count() -> None:
        monitor = session.capture._task_events
        session.until("a count", lambda: "w@shop" in monitor._counts, 30)

    with start_worker(url, tmp_path, "w@shop", remote_control=not enabling):
        await_count()
        session.read(1.5)
        assert without_events(session) == []  # it has run no task
        for number in range(3):
            session.app.send_task("add", (1, 2), task_id=f"t{number}")
        session.until("the report", lambda: bool(without_events(session)), 30)
        (report,) = without_events(session)
        cause = "no_remote_control" if enabling else "not_enabled"
        assert (report["name"], report["cause"], report["tasks"]) == ("w@shop", cause, 3)
        assert session.uuids == {None}
    with start_worker(url, tmp_path, "w@shop", "-E", remote_control=not enabling):
        session.until("the end of the report", lambda: not without_events(session), 30)
        await_count()
        session.app.send_task("add", (1, 2), task_id="recorded")
        session.until("the event", lambda: "recorded" in session.uuids, 30)
        until = time.time() + 5
        session.until("later heartbeats", lambda: time.time() > until, 30)
        assert without_events(session) == []
