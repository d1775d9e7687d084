"""Tasks of all kinds, generated from a seed."""

import random
import threading
import uuid
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from celery import Celery, chain, chord, group


class Load:
    """Sends tasks of one run. The ids depend on the seed only."""

    def __init__(self, app: Celery, rng: random.Random, *, has_backend: bool) -> None:
        self.app = app
        self.has_backend = has_backend
        self._rng = rng
        self._lock = threading.Lock()

    def next_id(self) -> str:
        with self._lock:
            return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def send(self, name: str, *args: Any, queue: str = "main", **options: Any) -> str:
        """Send one task; its id is returned. Raises the errors of the broker."""
        task_id = options.pop("task_id", None) or self.next_id()
        self.app.send_task(f"chaos.{name}", args=args, queue=queue, task_id=task_id, **options)
        return task_id

    def send_many(self, count: int, name: str, *args: Any, **options: Any) -> list[str]:
        return [self.send(name, *args, **options) for _ in range(count)]

    def signature(self, name: str, *args: Any, queue: str = "main") -> Any:
        return self.app.signature(f"chaos.{name}", args=args, queue=queue).set(task_id=self.next_id())

    def revoke(self, task_id: str, *, terminate: bool = False) -> None:
        self.app.control.revoke(task_id, terminate=terminate, signal="SIGKILL")

    def send_mixed(self, wait_for_start: Callable[[str], bool]) -> None:
        """Tasks of all kinds for the queue `main`, and one that expires in the queue `idle`, which no worker reads.
        `wait_for_start` waits until the task of this id runs."""
        self.send_many(8, "quick")
        self.send_many(4, "rest", 1.5)
        self.send_many(3, "fail")
        self.send_many(3, "retry")
        self.send_many(3, "limited")
        self.send_many(3, "rest_late", 1)
        self.send("quick", queue="idle", expires=2)
        self.send("quick", countdown=4, expires=1)
        for task_id in self.send_many(2, "quick", countdown=5):
            self.revoke(task_id)
        self.send_many(2, "quick", countdown=3)
        self.send("overdue", 10)
        self.send("overdue_softly", 10)
        self.send("kill")
        self.send_workflows()
        terminated = self.send("rest", 90)
        if wait_for_start(terminated):
            self.revoke(terminated, terminate=True)

    def send_workflows(self) -> None:
        sign = self.signature
        chain(sign("quick", 1), sign("quick"), sign("rest", 0.2)).apply_async()
        group(sign("quick", number) for number in range(3)).apply_async()
        if self.has_backend:
            chord([sign("quick", number) for number in range(3)], sign("total")).apply_async()

    def send_random(self, queue: str = "main") -> None:
        """One task of a random kind."""
        kinds: Sequence[tuple[float, Callable[[], Any]]] = (
            (0.55, lambda: self.send("quick", queue=queue)),
            (0.15, lambda: self.send("rest", round(self._rng.uniform(0.1, 0.8), 2), queue=queue)),
            (0.08, lambda: self.send("fail", queue=queue)),
            (0.08, lambda: self.send("retry", 1, 0.5, queue=queue)),
            (0.08, lambda: self.send("rest_late", 0.2, queue=queue)),
            (0.04, lambda: self.send("quick", queue=queue, countdown=2)),
            (0.02, lambda: self.send("kill", queue=queue)),
        )
        chosen = self._rng.choices(kinds, weights=[weight for weight, _ in kinds])[0]
        chosen[1]()


class SteadyLoad:
    """Sends random tasks at a rate (tasks per second) in a thread until it is left."""

    def __init__(self, load: Load, rate: float, errors: tuple[type[Exception], ...]) -> None:
        self._load, self._rate, self._errors = load, rate, errors
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        #: messages that the broker refused
        self.failed = 0

    def _run(self) -> None:
        while not self._stop.wait(1 / self._rate):
            try:
                self._load.send_random()
            except self._errors:
                self.failed += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(60)
