"""Cache of the latest inspect replies of workers. Independent of Celery: replies are passed in."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, get_args

from flower.records import Worker

InspectKind: TypeAlias = Literal[
    "stats", "active_queues", "registered", "conf", "active", "scheduled", "reserved", "revoked"
]

INSPECT_KINDS: Final[tuple[InspectKind, ...]] = get_args(InspectKind)
#: The kinds requested of all workers at once; the lists of tasks are requested of one worker at a time.
COMMON_KINDS: Final[tuple[InspectKind, ...]] = ("stats", "active_queues", "registered", "conf")

#: Seconds until a worker that did not reply is inspected again automatically; doubled each time, up to the maximum.
MIN_RETRY_DELAY: Final = 2.0
MAX_RETRY_DELAY: Final = 60.0

#: None for all workers, or worker names.
InspectTarget: TypeAlias = tuple[str, ...] | None
#: Replies by kind and worker.
InspectReplies: TypeAlias = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class CachedReply:
    """A reply and when it was received, by the local clock."""

    received_at: float
    value: Any


@dataclass(frozen=True, slots=True)
class WorkerInspection:
    """The cached replies of one worker. `requested_at` is the time of the last request, `failed_requests` the number of
    consecutive requests without any reply."""

    replies: Mapping[InspectKind, CachedReply] = field(default_factory=lambda: MappingProxyType({}))
    requested_at: float = 0.0
    failed_requests: int = 0

    @property
    def last_reply_at(self) -> float | None:
        """When the last reply was received."""
        return max((each.received_at for each in self.replies.values()), default=None)

    @property
    def is_responding(self) -> bool:
        """Whether the worker replied to the last request."""
        return bool(self.replies) and not self.failed_requests

    def get_value(self, kind: InspectKind) -> Any:
        """The reply of this kind, None if there is none."""
        reply = self.replies.get(kind)
        return None if reply is None else reply.value

    def has_replies(self, kinds: Iterable[InspectKind]) -> bool:
        return all(kind in self.replies for kind in kinds)

    @property
    def pid(self) -> int | None:
        stats = self.get_value("stats")
        return stats.get("pid") if isinstance(stats, Mapping) else None

    @property
    def queues(self) -> tuple[str, ...]:
        queues = self.get_value("active_queues")
        if not isinstance(queues, Sequence):
            return ()
        return tuple(str(queue["name"]) for queue in queues if isinstance(queue, Mapping) and "name" in queue)


class InspectionCache:
    """The latest replies of every worker, for one event loop; `all` and `get` may be called from any thread.

    Concurrent requests for the same target share one broadcast. A worker that does not reply keeps its previous
    replies.
    """

    def __init__(self, limit: int = 5_000) -> None:
        self._limit = limit
        self._workers: dict[str, WorkerInspection] = {}
        self._running: dict[InspectTarget, asyncio.Task[None]] = {}

    def get(self, worker: str) -> WorkerInspection | None:
        """None if the worker has never replied."""
        inspection = self._workers.get(worker)
        return inspection if inspection is not None and inspection.replies else None

    def all(self) -> dict[str, WorkerInspection]:
        """The workers that have ever replied, by name."""
        return {name: inspection for name, inspection in sorted(self._workers.copy().items()) if inspection.replies}

    async def refresh(self, target: InspectTarget, send_request: Callable[[], Awaitable[InspectReplies]]) -> None:
        """Request replies, unless the same request is running already, and wait for them. Raises what `send_request`
        raises."""
        await asyncio.shield(self._shared_request(target, send_request))

    def refresh_soon(self, target: InspectTarget, send_request: Callable[[], Awaitable[InspectReplies]]) -> None:
        """Request replies without waiting; errors are ignored."""
        self._shared_request(target, send_request)

    def new_workers(self, live_workers: Iterable[Worker], now: float) -> list[str]:
        """Those of these workers that have not replied since they started. A worker that does not reply is listed again
        after a delay."""
        return [worker.hostname for worker in live_workers if self._is_new(worker, now)]

    def _is_new(self, worker: Worker, now: float) -> bool:
        cached = self._workers.get(worker.hostname)
        if cached is None:
            return True
        if cached.replies and (worker.pid is None or cached.pid in (None, worker.pid)):
            return False
        return now - cached.requested_at > min(
            MIN_RETRY_DELAY * 2.0 ** min(cached.failed_requests, 10), MAX_RETRY_DELAY
        )

    def _shared_request(
        self, target: InspectTarget, send_request: Callable[[], Awaitable[InspectReplies]]
    ) -> "asyncio.Task[None]":
        running = self._running.get(target)
        if running is None:
            running = self._running[target] = asyncio.create_task(self._request(target, send_request))
            running.add_done_callback(_retrieve_exception)
        return running

    async def _request(self, target: InspectTarget, send_request: Callable[[], Awaitable[InspectReplies]]) -> None:
        asked = time.time()
        try:
            self.store_replies(target, await send_request(), asked)
        except Exception:
            # The broker is unreachable: record the failure, so that the next request is delayed.
            self.store_replies(target or (), {}, asked)
            raise
        finally:
            del self._running[target]

    def store_replies(self, target: InspectTarget, received_replies: InspectReplies, requested_at: float) -> None:
        """Store replies; kinds that failed keep their previous value."""
        now = time.time()
        replies: dict[str, dict[InspectKind, CachedReply]] = {}
        for kind in INSPECT_KINDS:
            for name, value in received_replies.get(kind, {}).items():
                if not _is_error(value):
                    replies.setdefault(str(name), {})[kind] = CachedReply(now, value)
        for name in {*(self._workers if target is None else target), *replies}:
            previous = self._workers.get(name, WorkerInspection())
            new_replies = replies.get(name, {})
            updated = replace(
                previous, replies=MappingProxyType({**previous.replies, **new_replies}), requested_at=requested_at
            )
            self._workers[name] = replace(updated, failed_requests=0 if new_replies else previous.failed_requests + 1)
        self._evict()

    def store_stats(self, stats: Mapping[str, Any]) -> None:
        """Replace the statistics of workers that have not been restarted since their last inspection. Others are
        inspected as new workers."""
        now = time.time()
        for name, value in stats.items():
            cached = self._workers.get(name)
            if cached is None or not isinstance(value, Mapping) or cached.pid is None or value.get("pid") != cached.pid:
                continue
            replies = MappingProxyType({**cached.replies, "stats": CachedReply(now, value)})
            self._workers[name] = replace(cached, replies=replies)

    def _evict(self) -> None:
        """Beyond the limit remove the workers whose last reply is the oldest."""
        excess = len(self._workers) - self._limit
        if excess > 0:
            for name in sorted(self._workers, key=lambda name: self._workers[name].last_reply_at or 0.0)[:excess]:
                del self._workers[name]


def _is_error(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"error"}


def _retrieve_exception(done: "asyncio.Task[None]") -> None:
    """Retrieve the exception of a task that no caller awaits, so that asyncio does not log it."""
    if not done.cancelled():
        done.exception()
