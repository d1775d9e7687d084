"""A real Celery worker in a subprocess."""

import os
import sys
import time
from typing import Any

from celery import Celery

from tests.helpers.paths import ROOT
from tests.helpers.servers import Server

#: The value of `app.events_cls` for workers that also append their events to a Redis stream.
DURABLE_EVENTS = "flower.durable_events:DurableEvents"


class Worker(Server):
    """`celery worker` with the test application; ready when it replies to a ping."""

    name = "worker"

    def __init__(self, app: Celery, node: str = "shop", concurrency: int = 4, *options: str) -> None:
        super().__init__()
        self.app, self.hostname, self.concurrency = app, f"{node}@{self.port}", concurrency
        self.options = options

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "SHOP_BROKER": self.app.conf.broker_url,
            "SHOP_QUEUE": self.app.conf.task_default_queue,
            "SHOP_BACKEND": self.app.conf.result_backend or "",
            **({"SHOP_DURABLE": "1"} if self.app.events_cls == DURABLE_EVENTS else {}),
            "SHOP_POOL_RESTARTS": "1" if self.app.conf.worker_pool_restarts else "",
            "PYTHONPATH": str(ROOT),
        }

    def command(self) -> list[str]:
        return [
            sys.executable, "-m", "celery", "-A", "tests.helpers.celery_app", "worker", "-n", self.hostname,
            "-l", "INFO", "-c", str(self.concurrency), "-E", "--without-mingle", "--without-gossip", *self.options,
        ]  # fmt: skip

    def ready(self) -> bool:
        return bool(self.app.control.ping(destination=[self.hostname], timeout=0.5))

    def inspect(self, method: str) -> Any:
        """The reply of the worker to an inspect command."""
        answers = getattr(self.app.control.inspect(destination=[self.hostname], timeout=5), method)()
        return (answers or {}).get(self.hostname)

    def pool(self) -> list[int]:
        """The process ids of the pool."""
        return list(self.inspect("stats")["pool"]["processes"])

    def queues(self) -> set[str]:
        return {queue["name"] for queue in self.inspect("active_queues")}

    def started(self, task_id: str, timeout: float = 30) -> bool:
        """Whether the task runs within `timeout`, and its result is STARTED, which may be stored a little later."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            active = self.inspect("active") or ()
            running = any(task["id"] == task_id and task["time_start"] for task in active)
            if running and self._result_is_started(task_id):
                return True
            time.sleep(0.05)
        return False

    def _result_is_started(self, task_id: str) -> bool:
        result = self.app.AsyncResult(task_id)
        return result.backend.as_uri() == "rpc://" or result.state == "STARTED"
