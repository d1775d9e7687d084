"""What workers last said when they were asked, and when. Knows no Celery: it is handed the answers."""

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
#: What all workers are asked for together; the lists of tasks are asked of one worker at a time.
COMMON_KINDS: Final[tuple[InspectKind, ...]] = ("stats", "active_queues", "registered", "conf")

#: Seconds until a worker that did not answer is asked again by itself, each time twice as long.
MIN_RETRY_DELAY: Final = 2.0
MAX_RETRY_DELAY: Final = 60.0

#: All workers together, or those named.
InspectTarget: TypeAlias = tuple[str, ...] | None
#: By kind and worker.
InspectReplies: TypeAlias = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class CachedReply:
    """`at`: when it was said, by our clock."""

    received_at: float
    value: Any


@dataclass(frozen=True, slots=True)
class WorkerInspection:
    """One worker. `asked` is when it was last asked, `silent` how often in a row it gave no answer at all."""

    replies: Mapping[InspectKind, CachedReply] = field(default_factory=lambda: MappingProxyType({}))
    requested_at: float = 0.0
    failed_requests: int = 0

    @property
    def last_reply_at(self) -> float | None:
        """When it last said anything."""
        return max((each.received_at for each in self.replies.values()), default=None)

    @property
    def is_responding(self) -> bool:
        """Whether it said anything when it was last asked."""
        return bool(self.replies) and not self.failed_requests

    def get_value(self, kind: InspectKind) -> Any:
        """None if it never said this."""
        found = self.replies.get(kind)
        return None if found is None else found.value

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
    """The last words of every worker, for one event loop; `all` and `of` may be called from any thread.

    Those who ask the same at the same time share one question. A worker that does not answer keeps what it said."""

    def __init__(self, limit: int = 5_000) -> None:
        self._limit = limit
        self._workers: dict[str, WorkerInspection] = {}
        self._running: dict[InspectTarget, asyncio.Task[None]] = {}

    def get(self, worker: str) -> WorkerInspection | None:
        """None if it was never heard."""
        found = self._workers.get(worker)
        return found if found is not None and found.replies else None

    def all(self) -> dict[str, WorkerInspection]:
        """Those that were ever heard, by name."""
        return {name: found for name, found in sorted(self._workers.copy().items()) if found.replies}

    async def refresh(self, target: InspectTarget, send_request: Callable[[], Awaitable[InspectReplies]]) -> None:
        """Ask, unless the same is being asked already, and wait for the answers. Raises what `ask` raises."""
        await asyncio.shield(self._shared_request(target, send_request))

    def refresh_soon(self, target: InspectTarget, send_request: Callable[[], Awaitable[InspectReplies]]) -> None:
        """The same without waiting; an error is nobody's."""
        self._shared_request(target, send_request)

    def new_workers(self, workers: Mapping[str, Worker], now: float) -> list[str]:
        """Of what events tell: the workers that live and were not heard since they came; those that did not answer
        are not named again for a while."""
        return [worker.hostname for worker in workers.values() if worker.is_alive(now) and self._is_new(worker, now)]

    def _is_new(self, worker: Worker, now: float) -> bool:
        known = self._workers.get(worker.hostname)
        if known is None:
            return True
        if known.replies and (worker.pid is None or known.pid in (None, worker.pid)):
            return False
        return now - known.requested_at > min(MIN_RETRY_DELAY * 2.0 ** min(known.failed_requests, 10), MAX_RETRY_DELAY)

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
            # the broker is away; it is not to be waited for at every request
            self.store_replies(target or (), {}, asked)
            raise
        finally:
            del self._running[target]

    def store_replies(self, target: InspectTarget, received_replies: InspectReplies, requested_at: float) -> None:
        """Put down what was answered; kinds that failed stay as they were."""
        now = time.time()
        said: dict[str, dict[InspectKind, CachedReply]] = {}
        for kind in INSPECT_KINDS:
            for name, value in received_replies.get(kind, {}).items():
                if not _is_error(value):
                    said.setdefault(str(name), {})[kind] = CachedReply(now, value)
        for name in {*(self._workers if target is None else target), *said}:
            before = self._workers.get(name, WorkerInspection())
            heard = said.get(name, {})
            after = replace(before, replies=MappingProxyType({**before.replies, **heard}), requested_at=requested_at)
            self._workers[name] = replace(after, failed_requests=0 if heard else before.failed_requests + 1)
        self._evict()

    def _evict(self) -> None:
        """Beyond the limit: those that were not heard for the longest time."""
        excess = len(self._workers) - self._limit
        if excess > 0:
            for name in sorted(self._workers, key=lambda name: self._workers[name].last_reply_at or 0.0)[:excess]:
                del self._workers[name]


def _is_error(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"error"}


def _retrieve_exception(done: "asyncio.Task[None]") -> None:
    """If nobody waits, asyncio shall not complain that its error was never looked at."""
    if not done.cancelled():
        done.exception()
