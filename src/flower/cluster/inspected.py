"""What workers last said when they were asked, and when. Knows no Celery: it is handed the answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, get_args

from flower.records import Worker

Kind: TypeAlias = Literal["stats", "active_queues", "registered", "conf", "active", "scheduled", "reserved", "revoked"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
#: What all workers are asked for together; the lists of tasks are asked of one worker at a time.
COMMON: Final[tuple[Kind, ...]] = ("stats", "active_queues", "registered", "conf")

#: Seconds until a worker that did not answer is asked again by itself, each time twice as long.
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 60.0

#: All workers together, or those named.
Target: TypeAlias = tuple[str, ...] | None
#: By kind and worker.
Answers: TypeAlias = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Said:
    """`at`: when it was said, by our clock."""

    at: float
    value: Any


@dataclass(frozen=True, slots=True)
class Inspected:
    """One worker. `asked` is when it was last asked, `silent` how often in a row it gave no answer at all."""

    said: Mapping[Kind, Said] = field(default_factory=lambda: MappingProxyType({}))
    asked: float = 0.0
    silent: int = 0

    @property
    def timestamp(self) -> float | None:
        """When it last said anything."""
        return max((each.at for each in self.said.values()), default=None)

    @property
    def answered(self) -> bool:
        """Whether it said anything when it was last asked."""
        return bool(self.said) and not self.silent

    def value(self, kind: Kind) -> Any:
        """None if it never said this."""
        found = self.said.get(kind)
        return None if found is None else found.value

    def knows(self, kinds: Iterable[Kind]) -> bool:
        return all(kind in self.said for kind in kinds)

    @property
    def pid(self) -> int | None:
        stats = self.value("stats")
        return stats.get("pid") if isinstance(stats, Mapping) else None

    @property
    def queues(self) -> tuple[str, ...]:
        queues = self.value("active_queues")
        if not isinstance(queues, Sequence):
            return ()
        return tuple(str(queue["name"]) for queue in queues if isinstance(queue, Mapping) and "name" in queue)


class Inspections:
    """The last words of every worker, for one event loop; `all` and `of` may be called from any thread.

    Those who ask the same at the same time share one question. A worker that does not answer keeps what it said."""

    def __init__(self, limit: int = 5_000) -> None:
        self._limit = limit
        self._workers: dict[str, Inspected] = {}
        self._running: dict[Target, asyncio.Task[None]] = {}

    def of(self, worker: str) -> Inspected | None:
        """None if it was never heard."""
        found = self._workers.get(worker)
        return found if found is not None and found.said else None

    def all(self) -> dict[str, Inspected]:
        """Those that were ever heard, by name."""
        return {name: found for name, found in sorted(self._workers.copy().items()) if found.said}

    async def refresh(self, target: Target, ask: Callable[[], Awaitable[Answers]]) -> None:
        """Ask, unless the same is being asked already, and wait for the answers. Raises what `ask` raises."""
        await asyncio.shield(self._asking(target, ask))

    def refresh_soon(self, target: Target, ask: Callable[[], Awaitable[Answers]]) -> None:
        """The same without waiting; an error is nobody's."""
        self._asking(target, ask)

    def newcomers(self, workers: Mapping[str, Worker], now: float) -> list[str]:
        """Of what events tell: the workers that live and were not heard since they came; those that did not answer
        are not named again for a while."""
        return [worker.hostname for worker in workers.values() if worker.is_alive(now) and self._is_new(worker, now)]

    def _is_new(self, worker: Worker, now: float) -> bool:
        known = self._workers.get(worker.hostname)
        if known is None:
            return True
        if known.said and (worker.pid is None or known.pid in (None, worker.pid)):
            return False
        return now - known.asked > min(FIRST_PAUSE * 2.0 ** min(known.silent, 10), LONGEST_PAUSE)

    def _asking(self, target: Target, ask: Callable[[], Awaitable[Answers]]) -> "asyncio.Task[None]":
        running = self._running.get(target)
        if running is None:
            running = self._running[target] = asyncio.create_task(self._ask(target, ask))
            running.add_done_callback(_seen)
        return running

    async def _ask(self, target: Target, ask: Callable[[], Awaitable[Answers]]) -> None:
        asked = time.time()
        try:
            self.take(target, await ask(), asked)
        except Exception:
            # the broker is away; it is not to be waited for at every request
            self.take(target or (), {}, asked)
            raise
        finally:
            del self._running[target]

    def take(self, target: Target, answers: Answers, asked: float) -> None:
        """Put down what was answered; kinds that failed stay as they were."""
        now = time.time()
        said: dict[str, dict[Kind, Said]] = {}
        for kind in KINDS:
            for name, value in answers.get(kind, {}).items():
                if not _failed(value):
                    said.setdefault(str(name), {})[kind] = Said(now, value)
        for name in {*(self._workers if target is None else target), *said}:
            before = self._workers.get(name, Inspected())
            heard = said.get(name, {})
            after = replace(before, said=MappingProxyType({**before.said, **heard}), asked=asked)
            self._workers[name] = replace(after, silent=0 if heard else before.silent + 1)
        self._forget()

    def _forget(self) -> None:
        """Beyond the limit: those that were not heard for the longest time."""
        excess = len(self._workers) - self._limit
        if excess > 0:
            for name in sorted(self._workers, key=lambda name: self._workers[name].timestamp or 0.0)[:excess]:
                del self._workers[name]


def _failed(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"error"}


def _seen(done: "asyncio.Task[None]") -> None:
    """If nobody waits, asyncio shall not complain that its error was never looked at."""
    if not done.cancelled():
        done.exception()
