"""A reconciler on a store with given records, against a real broker. It collects what the reconciler observes."""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from celery import Celery

from flower.reconcile import Reconciler
from flower.reconcile.reconciler import ReconcileTuning
from flower.recorder_settings import reconcile_settings
from flower.records import Evidence, Gap, Task, Worker, WorkerAnswer
from flower.redaction import Rules
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch
from tests.helpers.servers import wait_for


class ReconcileSession:
    """According to the store, the recorder is connected and has nothing to do."""

    def __init__(
        self,
        app: Celery,
        folder: Path,
        *,
        tasks: Sequence[Task] = (),
        workers: Sequence[Worker] = (),
        gaps: Sequence[Gap] = (),
        backend_patience: float = 20.0,
    ) -> None:
        self._writer = open_writer(folder / "store", text_index=False)
        self._writer.write(Batch(new=tasks, workers=workers, gaps=gaps))
        self._report()
        self.reconciler = Reconciler(
            reconcile_settings(app, Rules()),
            open_reader(folder / "store"),
            tuning=ReconcileTuning(
                tick=0.1,
                survey_interval=0.5,
                confirmation_delay=0.2,
                settling_time=0.0,
                backend_patience=backend_patience,
            ),
        )
        self.evidence: list[Evidence] = []
        self.answers: list[WorkerAnswer] = []

    def __enter__(self) -> Self:
        self.reconciler.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.reconciler.stop()
        self._writer.close()

    def add_gaps(self, *gaps: Gap) -> None:
        self._writer.write(Batch(gaps=gaps))

    def read(self) -> None:
        self._report()
        for each in self.reconciler.read():
            if isinstance(each, Evidence):
                self.evidence.append(each)
            else:
                self.answers.append(each)

    def wait_for_evidence(self, uuid: str, timeout: float = 60.0) -> Evidence:
        """The first evidence about a task."""
        self.wait_until(f"evidence about {uuid}", lambda: uuid in {each.uuid for each in self.evidence}, timeout)
        return next(each for each in self.evidence if each.uuid == uuid)

    def about(self, *uuids: str) -> list[Evidence]:
        """The evidence about these tasks; other tests use the same broker."""
        wanted = set(uuids)
        return [each for each in self.evidence if each.uuid in wanted]

    def wait_for_checks(self, count: int) -> None:
        """Wait until this many tasks were examined."""
        self.wait_until(f"{count} examined tasks", lambda: self.reconciler.status()["checked"] >= count)

    def wait_until(self, what: str, ready: Callable[[], bool], timeout: float = 60.0) -> None:
        def reading() -> bool:
            self.read()
            return ready()

        wait_for(what, reading, timeout)

    def _report(self) -> None:
        self._writer.set_status({"at": time.time(), "running": True, "lag": 0.0, "capture": {"connected": True}})


def live_worker(hostname: str, pid: int | None = None, **fields: Any) -> Worker:
    """A worker that has sent a heartbeat just now, and whose heartbeats are rare enough for a test."""
    return Worker(hostname, pid=pid, heartbeat=time.time(), timestamp=time.time(), freq=60.0, **fields)


def silent_worker(hostname: str, pid: int | None = None) -> Worker:
    return Worker(hostname, pid=pid, heartbeat=time.time() - 60, timestamp=time.time() - 60, freq=2.0)


def received_at(hostname: str, uuids: Iterable[str], *, pid: int | None = None, **fields: Any) -> list[Task]:
    """Records of tasks that a worker received a minute ago."""
    then = time.time() - 60
    values: dict[str, Any] = {"name": "shop.add", "state": "RECEIVED", "sent": then, "queue": "celery", **fields}
    return [Task(uuid, hostname=hostname, pid=pid, received=then, timestamp=then, **values) for uuid in uuids]


def sent_to(queue: str, uuids: Iterable[str], **fields: Any) -> list[Task]:
    """Records of tasks that were sent to a queue a minute ago, one after the other."""
    then = time.time() - 60
    values: dict[str, Any] = {"name": "shop.add", "client": "test", **fields}
    return [
        Task(uuid, queue=queue, sent=then + number / 1000, timestamp=then + number / 1000, **values)
        for number, uuid in enumerate(uuids)
    ]
