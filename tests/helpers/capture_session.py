"""A capture connected to a real broker, with helpers that send and read events."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from celery import Celery

from flower.capture.protocols import CapturedBatch
from flower.records import Event
from tests.helpers.servers import wait_for


@dataclass
class CaptureSession:
    """An application, its capture, and all batches read so far."""

    app: Celery
    capture: Any
    batches: list[CapturedBatch] = field(default_factory=list)

    @property
    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch.events]

    @property
    def gaps(self) -> list[Any]:
        return [batch.gap for batch in self.batches if batch.gap]

    @property
    def uuids(self) -> set[str | None]:
        return {event.uuid for event in self.events}

    def connected(self) -> bool:
        return bool(self.capture.status()["connected"])

    def read(self, timeout: float = 0.2, done: bool = True) -> None:
        batch = self.capture.read(timeout)
        if batch is not None:
            self.batches.append(batch)
            if done:
                self.capture.ack(batch.token)

    def until(self, what: str, ready: Callable[[], bool], timeout: float = 60.0, done: bool = True) -> None:
        def reading() -> bool:
            self.read(0.05, done)
            return ready()

        wait_for(what, reading, timeout)

    def send(self, *uuids: str, **fields: Any) -> None:
        with self.app.connection_for_write() as connection, self.app.events.Dispatcher(connection) as dispatcher:
            for uuid in uuids:
                dispatcher.send("task-started", uuid=uuid, **fields)

    def publish(self, body: Any, **options: Any) -> None:
        """Publish any message to the event exchange."""
        from celery.events.event import get_exchange

        with self.app.connection_for_write() as connection:
            exchange = get_exchange(connection, name=self.app.conf.event_exchange)
            producer = connection.Producer(exchange=exchange)
            options = {"routing_key": "task.started", "content_type": "application/json", **options}
            if "serializer" in options:
                del options["content_type"]
            else:
                options["content_encoding"] = "utf-8"
            producer.publish(body, **options)
