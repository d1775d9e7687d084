"""Sends the events of tasks without running them, as a worker sends events."""

import threading
from types import TracebackType
from typing import Self
from uuid import uuid4

from celery import Celery


class Stream:
    """Sends received, started and succeeded for about `rate` tasks per second in a thread; a task succeeds `running`
    tasks after its start. `sent` are the ids of the succeeded tasks."""

    def __init__(self, broker: str, rate: float = 1000.0, running: int = 200) -> None:
        self._app = Celery(broker=broker, set_as_current=False)
        self._rate = rate
        self._running = running
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent: list[str] = []

    def _run(self) -> None:
        running: list[str] = []
        with self._app.connection_for_write() as connection:
            dispatcher = self._app.events.Dispatcher(connection, hostname="celery@stream", buffer_group={"task"})
            while not self._stop.wait(20 / self._rate):
                for _ in range(20):
                    uuid = str(uuid4())
                    running.append(uuid)
                    dispatcher.send("task-received", uuid=uuid, name="stream.task", args="(1,)", kwargs="{}", retries=0)
                    dispatcher.send("task-started", uuid=uuid)
                self._finish(dispatcher, running, keep=self._running)
            self._finish(dispatcher, running, keep=0)
            dispatcher.flush()
            dispatcher.close()

    def _finish(self, dispatcher: object, running: list[str], keep: int) -> None:
        while len(running) > keep:
            uuid = running.pop(0)
            dispatcher.send("task-succeeded", uuid=uuid, result="1", runtime=0.1)  # type: ignore[attr-defined]
            self.sent.append(uuid)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
