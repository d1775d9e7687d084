"""Revoke, terminate and abort one task, with the effect on a live worker."""

import uuid
from typing import Any

import pytest

from tests.helpers.product_client import ProductClient
from tests.helpers.servers import wait_for


def test_revoke(client: ProductClient) -> None:
    waiting = client.sent("shop.add", 1, 2, until="RECEIVED", countdown=2)
    reply = client.post(f"tasks/{waiting}/revoke")
    assert "flagged as revoked" in reply["replies"][client.cluster.worker.hostname]
    assert waiting in client.cluster.worker.inspect("revoked")
    client.wait_for_state(waiting, "REVOKED")
    assert "already finished (REVOKED)" in client.refused(f"tasks/{waiting}/revoke", status=403)["message"]


@pytest.mark.parametrize("signal", ["SIGTERM", "kill"])
def test_terminate(client: ProductClient, signal: str) -> None:
    running = client.sent("shop.rest", 300, until="STARTED")
    assert "Unknown signal" in client.refused(f"tasks/{running}/terminate", {"signal": "SIGNONSENSE"})["message"]
    reply = client.post(f"tasks/{running}/terminate", {"signal": signal})
    assert reply["replies"][client.cluster.worker.hostname] == f"terminate: {running}"
    client.wait_for_state(running, "REVOKED")
    wait_for("its end", lambda: running not in {task["id"] for task in client.cluster.worker.inspect("active")})


def test_abort(client: ProductClient) -> None:
    running = client.sent("shop.until_aborted", until="STARTED")
    assert client.post(f"tasks/{running}/abort")["message"] == f"Aborted '{running}'"
    client.wait_for_state(running, "SUCCESS")
    assert "already finished (SUCCESS)" in client.refused(f"tasks/{running}/abort", status=403)["message"]
    other = client.sent("shop.add", 1, 2, until="RECEIVED", countdown=2)
    assert "not an AbortableTask" in client.refused(f"tasks/{other}/abort", status=403)["message"]


def test_a_task_without_a_record_can_be_revoked(redis_client: ProductClient) -> None:
    unseen: Any = str(uuid.uuid4())
    redis_client.post(f"tasks/{unseen}/revoke")
    assert unseen in redis_client.cluster.worker.inspect("revoked")
