"""Messages that cannot be read: counted, sampled and a gap, with a real broker."""

from collections.abc import Callable

import pytest

from flower.capture import unreadable_messages
from flower.capture.unreadable_messages import find_unended_gap
from tests.helpers.capture_session import CaptureSession
from tests.helpers.servers import Redis


def test_messages_of_a_serializer_that_is_not_accepted_are_a_gap(
    redis_server: Redis, rig: Callable[..., CaptureSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unreadable_messages, "GAP_END_DELAY", 0.3)
    session = rig(redis_server.url)
    event = {"type": "task-started", "uuid": "a", "timestamp": 5.0}
    for _ in range(3):
        session.publish(event, serializer="pickle")
    session.until("the gap", lambda: bool(session.gaps))
    opened = session.gaps[0]
    assert (opened.cause, opened.end) == ("unreadable_messages", None)
    report = session.capture.status()["unreadable"]
    assert report["encodings"] == {"application/x-python-serialize": report["count"]}
    assert report["reasons"] == {"serializer": report["count"]}
    assert "task-started" in report["sample"]
    status = {"capture": session.capture.status()}
    session.until("the end of the gap", lambda: len(session.gaps) > 1)
    ended = session.gaps[-1]
    assert (ended.start, ended.id) == (opened.start, opened.id)
    assert opened.start <= ended.end <= opened.start + 5
    assert session.capture.status()["unreadable"]["gap_start"] is None
    # a recorder that was killed could not end its gap: the next one does
    gap = find_unended_gap(status)
    assert gap is not None
    assert gap.id == opened.id
    assert gap.end is not None
    assert find_unended_gap({"capture": session.capture.status()}) is None


def test_custom_events_without_task_are_not_unreadable(redis_server: Redis, rig: Callable[..., CaptureSession]) -> None:
    session = rig(redis_server.url)
    session.publish(b'{"type":"task-started"}')
    session.send("last")
    session.until("the last", lambda: "last" in session.uuids)
    assert session.gaps == []
    assert session.capture.status()["malformed"] == {"no uuid": 1}
