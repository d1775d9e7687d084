"""Revoke, terminate and abort one task, with the effect on a live worker."""

import uuid
from typing import Any

import pytest

from tests.helpers.product_client import Desk
from tests.helpers.servers import wait_for


def test_revoke(desk: Desk) -> None:
    waiting = desk.sent("shop.add", 1, 2, until="RECEIVED", countdown=2)
    reply = desk.post(f"tasks/{waiting}/revoke")
    assert "flagged as revoked" in reply["replies"][desk.cluster.worker.hostname]
    assert waiting in desk.cluster.worker.inspect("revoked")
    desk.wait_for_state(waiting, "REVOKED")
    assert "already finished (REVOKED)" in desk.refused(f"tasks/{waiting}/revoke", status=403)["message"]


@pytest.mark.parametrize("signal", ["SIGTERM", "kill"])
def test_terminate(desk: Desk, signal: str) -> None:
    running = desk.sent("shop.rest", 300, until="STARTED")
    assert "Unknown signal" in desk.refused(f"tasks/{running}/terminate", {"signal": "SIGNONSENSE"})["message"]
    reply = desk.post(f"tasks/{running}/terminate", {"signal": signal})
    assert reply["replies"][desk.cluster.worker.hostname] == f"terminate: {running}"
    desk.wait_for_state(running, "REVOKED")
    wait_for("its end", lambda: running not in {task["id"] for task in desk.cluster.worker.inspect("active")})


def test_abort(desk: Desk) -> None:
    running = desk.sent("shop.until_aborted", until="STARTED")
    assert desk.post(f"tasks/{running}/abort")["message"] == f"Aborted '{running}'"
    desk.wait_for_state(running, "SUCCESS")
    assert "already finished (SUCCESS)" in desk.refused(f"tasks/{running}/abort", status=403)["message"]
    other = desk.sent("shop.add", 1, 2, until="RECEIVED", countdown=2)
    assert "not an AbortableTask" in desk.refused(f"tasks/{other}/abort", status=403)["message"]


def test_a_task_without_a_record_can_be_revoked(redis_desk: Desk) -> None:
    unseen: Any = str(uuid.uuid4())
    redis_desk.post(f"tasks/{unseen}/revoke")
    assert unseen in redis_desk.cluster.worker.inspect("revoked")
