"""The rules that decide from the recorder's report whether events are being recorded."""

from typing import Any

import pytest

from flower.recorder_status import RECORDER_TIMEOUT, RecorderState, RecorderStatus
from flower.untrusted_values import convert_or_none

NOW = 1_800_000_000.0
REPORT: dict[str, Any] = {
    "at": NOW, "since": NOW - 900, "running": True, "trouble": None, "lag": 0.1, "events": 7, "capture":
    {"connected": True, "backlog_bytes": 100, "spilled_bytes": 90},
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({}, "recording"),
        ({"at": NOW - RECORDER_TIMEOUT}, "recording"),
        ({"at": NOW - RECORDER_TIMEOUT - 1}, "stopped"),
        ({"running": False}, "stopped"),
        ({"running": None}, "stopped"),
        ({"trouble": "disk full"}, "blocked"),
        ({"capture": {"connected": False, "last_error": "refused"}}, "disconnected"),
        ({"capture": None}, "disconnected"),
        ({"at": None}, "unknown"),
        ({"at": "now"}, "unknown"),
    ],
)
def test_state(changed: dict[str, Any], state: RecorderState) -> None:
    status = RecorderStatus.from_dict({**REPORT, **changed})
    assert status.state(NOW) == state
    assert status.is_recording(NOW) is (state == "recording")
    assert status.is_alive(NOW) is (state not in ("unknown", "stopped"))


def test_values() -> None:
    status = RecorderStatus.from_dict(REPORT)
    assert (status.reported_at, status.started_at, status.events, status.backlog_bytes) == (NOW, NOW - 900, 7, 100)
    assert RecorderStatus.from_dict({}) == RecorderStatus()
    assert RecorderStatus.from_dict({"at": "odd", "capture": 7, "lag": "long"}) == RecorderStatus()
    disconnected = RecorderStatus.from_dict({"capture": {"connected": False, "last_error": "refused"}})
    assert disconnected.connection_error == "refused"
    connected = RecorderStatus.from_dict({"capture": {"connected": True, "last_error": "refused"}})
    assert connected.connection_error is None


def test_untrusted_values() -> None:
    assert (convert_or_none(1, float), convert_or_none(True, int), convert_or_none("1", int)) == (1.0, None, None)
    assert (convert_or_none(1.5, int), convert_or_none(10**400, float), convert_or_none(None, str)) == (
        None,
        None,
        None,
    )


def test_reasons_for_records_that_are_not_current() -> None:
    behind = RecorderStatus.from_dict({**REPORT, "current_at": NOW - 9, "capture": {"connected": True}})
    assert behind.view(NOW) == (NOW - 9, "The recorder is behind.")
    silent = {"connected": True, "confirmed_at": NOW - 9}
    assert RecorderStatus.from_dict({**REPORT, "current_at": NOW - 9, "capture": silent}).view(NOW) == (
        NOW - 9,
        "The broker does not respond.",
    )
    assert RecorderStatus.from_dict(REPORT).view(NOW + 3) == (NOW + 3, ""), "of an earlier version"
