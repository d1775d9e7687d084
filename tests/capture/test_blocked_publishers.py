"""RabbitMQ blocks publishers while it has an alarm for memory or disk space."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from flower.capture.blocked_publishers import BlockedPublisherMonitor
from flower.cluster.connection import broker_connection
from flower.errors import BackendUnavailable
from tests.helpers.capture_session import CaptureSession
from tests.helpers.servers import RabbitMQ, wait_for


@pytest.fixture(scope="module")
def server() -> Iterator[RabbitMQ]:
    """Not shared: the alarm affects all connections."""
    with RabbitMQ() as server:
        yield server


def set_memory_alarm(server: RabbitMQ, is_set: bool) -> None:
    """An alarm for memory blocks all publishers."""
    # Debian's wrapper requires the user `rabbitmq`; the script behind it does not.
    script = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")
    command = [str(script) if script.exists() else "rabbitmqctl", "-n", server.node, "set_vm_memory_high_watermark"]
    limit = ["0.00001"] if is_set else ["absolute", "2GB"]
    subprocess.run([*command, *limit], env=server.environment(), check=True, capture_output=True)


def test_status_has_the_time_since_which_publishers_are_blocked(server: RabbitMQ, rig) -> None:  # type: ignore[no-untyped-def]
    session: CaptureSession = rig(server.url)
    assert session.capture.status()["blocked_since"] is None
    set_memory_alarm(server, True)
    try:
        wait_for("blocked", lambda: session.capture.status()["blocked_since"] is not None)
        assert session.capture.status()["connected"]
    finally:
        set_memory_alarm(server, False)
    wait_for("unblocked", lambda: session.capture.status()["blocked_since"] is None)


def test_actions_fail_at_once_and_are_not_sent_later(server: RabbitMQ) -> None:
    app = Celery(broker=server.url, set_as_current=False)
    with broker_connection(app) as connection:
        queue = connection.default_channel.queue_declare("celery", durable=True, auto_delete=False).queue

    def send() -> None:
        with broker_connection(app) as connection:
            app.send_task("shop.add", connection=connection)

    def count() -> int:
        with app.connection_for_read() as connection:
            return int(connection.default_channel.queue_declare(queue, passive=True).message_count)

    send()
    set_memory_alarm(server, True)
    try:
        for _ in range(3):
            with pytest.raises(BackendUnavailable, match="RabbitMQ blocks publishers"):
                send()
    finally:
        set_memory_alarm(server, False)
    send()
    assert count() == 2


def test_unreachable_broker_is_not_blocked() -> None:
    monitor = BlockedPublisherMonitor(Celery(broker="amqp://127.0.0.1:1//", set_as_current=False))
    monitor.start()
    assert monitor.blocked_since is None
    monitor.stop()
