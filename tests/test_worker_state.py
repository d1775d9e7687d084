"""The state of a worker, from its record and the status of the recorder."""

from typing import Any

import pytest

from flower.recorder_status import FreshnessMeter, RecorderStatus
from flower.records import Worker
from flower.worker_state import WorkerStateName, duplicate_pids, judge_worker

NOW = 1_800_000_000.0
RECORDING: dict[str, Any] = {
    "at": NOW, "since": NOW - 900, "running": True, "capture": {"connected": True}, "current_at": NOW - 0.5,
    "resumed_at": NOW - 900, "interrupted_at": NOW - 950,
}  # fmt: skip
NOT_RECORDING: dict[str, dict[str, Any]] = {
    "blocked": {"trouble": "disk full", "current_at": NOW - 60},
    "disconnected": {"capture": {"connected": False}, "current_at": NOW - 60},
    "stopped": {"running": False, "at": NOW - 60, "current_at": NOW - 60},
    "no response of the broker": {"capture": {"connected": True, "confirmed_at": NOW - 10}, "current_at": NOW - 10},
    "does not report": {"at": NOW - 10, "current_at": NOW - 10},
    "killed": {"at": NOW - 60, "current_at": NOW - 60},
}


def status(**changes: Any) -> RecorderStatus:
    return RecorderStatus.from_dict({**RECORDING, **changes})


def worker(age: float, **fields: Any) -> Worker:
    """Whose last event was a heartbeat, `age` seconds ago."""
    at = NOW - age
    return Worker("w", **{"freq": 2.0, "heartbeat": at, "seen_at": at, "sends_heartbeats": True, **fields})


@pytest.mark.parametrize(
    ("record", "name", "alive"),
    [
        (worker(3.9), "online", True),
        (worker(4.1), "silent", False),
        (worker(4.1, freq=5.0), "online", True),
        (worker(9, seen_at=NOW - 1), "online", True),
        (worker(9, answered_at=NOW - 1), "online", True),
        (worker(1, online=False), "offline", False),
        (worker(60, started_at=NOW - 60, pool="solo"), "busy", True),
        (worker(60, started_at=NOW - 60, pool="prefork"), "silent", False),
        (worker(60, started_at=NOW - 60), "silent", False),
        (worker(60, pool="solo"), "unknown", True),
        (worker(90_000, pool="solo"), "unknown", False),
        (worker(60, sends_heartbeats=False), "no_heartbeats", True),
        (worker(60, sends_heartbeats=None, freq=5.0), "unknown", True),
        (worker(5, sends_heartbeats=None, freq=5.0), "unknown", True),
        (worker(1, sends_heartbeats=False), "no_heartbeats", True),
        (worker(1, sends_heartbeats=None), "online", True),
        (worker(91, sends_heartbeats=False), "unknown", True),
        (worker(90_000, sends_heartbeats=False), "unknown", False),
        (Worker("w", heartbeat=NOW - 60), "silent", False),
        (Worker("w"), "unknown", False),
    ],
)
def test_state_while_recording(record: Worker, name: WorkerStateName, alive: bool) -> None:
    state = judge_worker(record, status(), NOW)
    assert (state.name, state.alive) == (name, alive)
    assert state.reason


@pytest.mark.parametrize("case", NOT_RECORDING)
def test_a_living_worker_is_unknown_and_not_dead_while_nothing_can_be_recorded(case: str) -> None:
    recorder = status(**NOT_RECORDING[case])
    as_of = NOT_RECORDING[case]["current_at"]
    state = judge_worker(worker(NOW - as_of + 1), recorder, NOW)
    assert (state.name, state.alive, state.since) == ("unknown", True, as_of)
    assert judge_worker(worker(NOW - as_of + 9), recorder, NOW).name == "silent"
    assert judge_worker(worker(0, online=False), recorder, NOW).name == "offline"


def test_a_short_delay_of_the_recorder_changes_no_state() -> None:
    assert judge_worker(worker(5.4), status(current_at=NOW - 3, at=NOW - 3), NOW).name == "online"


def test_a_worker_is_not_silent_before_its_heartbeat_window_has_passed_since_recording_resumed() -> None:
    resumed = status(resumed_at=NOW - 3, interrupted_at=NOW - 60)
    assert judge_worker(worker(61), resumed, NOW).name == "unknown"
    assert judge_worker(worker(61), resumed, NOW).alive
    assert judge_worker(worker(70), resumed, NOW).name == "silent", "it was silent before the interruption"
    assert judge_worker(worker(61), status(resumed_at=NOW - 5, interrupted_at=NOW - 60), NOW).name == "silent"


def test_a_store_without_a_recorder_is_current() -> None:
    assert judge_worker(worker(1), RecorderStatus(), NOW).name == "online"
    assert judge_worker(worker(9), RecorderStatus(), NOW).name == "silent"


def test_purge_offline_workers_applies_to_workers_that_are_not_alive() -> None:
    assert judge_worker(worker(100), status(), NOW).is_stale(NOW, 60)
    assert not judge_worker(worker(100), status(), NOW).is_stale(NOW, 120)
    assert not judge_worker(worker(100, sends_heartbeats=False), status(), NOW).is_stale(NOW, 60)


def test_processes_that_share_a_name() -> None:
    shared = worker(1, pid=20, pids=((10, NOW - 2), (5, NOW - 900)), duplicate_at=NOW - 1)
    assert duplicate_pids(shared, NOW) == (10, 20)
    assert duplicate_pids(shared, NOW + 61) == ()
    assert duplicate_pids(worker(1, pid=20, pids=((10, NOW - 2),)), NOW) == ()


def test_an_interruption_begins_when_the_records_stop_being_current() -> None:
    meter = FreshnessMeter(NOW)
    meter.advance(NOW + 60)
    assert meter.report() == {"current_at": NOW + 60, "resumed_at": NOW + 60, "interrupted_at": NOW}
    meter.advance(NOW + 61)
    assert meter.report() == {"current_at": NOW + 61, "resumed_at": NOW + 60, "interrupted_at": NOW}
    assert meter.oldest_event_time(NOW + 62) == NOW, "the broker may deliver events from before"
    meter.advance(NOW + 95)
    assert (meter.resumed_at, meter.interrupted_at) == (NOW + 95, NOW + 61)
    for second in range(40):
        meter.advance(NOW + 95 + second)
    assert meter.oldest_event_time(NOW + 136) == NOW + 134
