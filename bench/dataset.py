"""The tasks that questions are asked about: as many as one likes, any one of them known without making the others.

A million tasks a day on 24 workers, the last of them at the moment `now`: a window of 24 hours holds a million, however
many days lie behind it. What happens to a task is one of some twenty thousand patterns (a name, a queue, a fate, how
long it waits and runs); its id, order number, times and relatives are its own. One task in ten belongs to a workflow of
two to fifty tasks. About 325 bytes of each are text that can be searched.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import md5
from typing import Any, NamedTuple

from msgspec.structs import replace

from bench.event_stream import NAMES, PRODUCERS, ROOMS, THINGS, TOWNS, VERBS, WEIGHTS, WORKERS, order_of
from bench.failure_fixtures import any_disaster
from flower.records import Attempt, Task

DAY = 86_400.0
#: Seconds between two tasks.
INTERVAL = DAY / 1_000_000
#: A prime, so that a task's pattern has nothing to do with its place in a workflow.
PATTERNS = 20_011
QUEUES = ("default", "payments", "parcels", "newsletter", "catalogue", "reports")
#: Workflows: in every stretch of 1,009 tasks these sizes, the members ten tasks apart.
STRETCH = 1_009
SIZES = (2, 50, 3, 8, 12, 5, 20)
STRIDE = 10
FATES = {
    "SUCCESS": 0.920, "FAILURE": 0.052, "REVOKED": 0.012, "RETRY": 0.006,
    "STARTED": 0.004, "RECEIVED": 0.003, "PENDING": 0.002, "REJECTED": 0.001,
}  # fmt: skip
#: Of the tasks that have begun, so many were tried before.
TRIED_BEFORE = 0.03
#: In the text of very many tasks.
COMMON = (*TOWNS, "example.com", "customer", "amount", "done", *THINGS)
_ENDS = {"SUCCESS": "succeeded", "FAILURE": "failed", "REVOKED": "revoked", "REJECTED": "rejected", "RETRY": "retried"}


class Kin(NamedTuple):
    """Places in the stretch: of the first task of the workflow and of the one that sent this one."""

    root: int
    parent: int


class Pattern(NamedTuple):
    name: str
    worker: int
    queue: str | None
    state: str
    wait: float
    runtime: float
    late: float  # by how much it comes after its turn: ids and times are not in quite the same order
    args: str  # up to the order number
    kwargs: str  # after it
    receipt: int
    exception: str | None  # with the place for the order number
    traceback: str | None
    tries: int


def _relatives() -> dict[int, Kin]:
    kin = {}
    first = 0
    for size in SIZES:
        for member in range(1, size):
            # everyone starts up to three others
            kin[(first + member) * STRIDE] = Kin(first * STRIDE, (first + (member - 1) // 3) * STRIDE)
        first += size
    return kin


RELATIVES = _relatives()
ROOTS = tuple(STRIDE * sum(SIZES[:place]) for place in range(len(SIZES)))


@cache
def patterns() -> tuple[Pattern, ...]:
    chance = random.Random(11)
    return tuple(_pattern(chance) for _ in range(PATTERNS))


def _pattern(chance: random.Random) -> Pattern:
    kind = chance.choices(range(len(NAMES)), WEIGHTS)[0]
    state = chance.choices(tuple(FATES), tuple(FATES.values()))[0]
    tries = chance.randint(1, 3) if state == "RETRY" or chance.random() < TRIED_BEFORE else 0
    failed = state in ("FAILURE", "RETRY") or tries
    disaster, number = any_disaster(chance), chance.randint(2, 9_999)
    kwargs = (
        f"', 'customer': 'customer{chance.randint(1, 99_999)}@example.com', "
        f"'amount': {chance.randint(100, 99_999) / 100}, 'town': '{chance.choice(TOWNS)}'}}"
    )
    return Pattern(
        NAMES[kind],
        chance.randrange(len(WORKERS)),
        # the room that the type belongs to; three in four tasks have a task-sent event that tells
        QUEUES[kind * len(QUEUES) // len(NAMES)] if chance.random() < 0.75 else None,
        state,
        chance.expovariate(1 / 0.3),
        min(chance.lognormvariate(-2.5 + 3 * (kind % 7) / 7, 0.8), 600.0),
        min(chance.expovariate(2.0), 5.0),
        f"({chance.randint(1, 999_999)}, '",
        kwargs,
        chance.randint(1, 10**9),
        disaster.repr(number) if failed else None,
        disaster.traceback(number) if failed else None,
        tries,
    )


@dataclass(frozen=True, slots=True)
class Population:
    """`tasks` tasks, numbered from 0; the last one at `now` (epoch seconds). Equal populations have equal tasks."""

    tasks: int
    now: float

    def uuid(self, number: int) -> str:
        digits = md5(b"%d" % number, usedforsecurity=False).hexdigest()
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def order(self, number: int) -> str:
        """A text that is in this task and in no other."""
        return order_of(number)

    def at(self, number: int) -> float:
        """When it was its turn; it is received up to five seconds before that."""
        return self.now - (self.tasks - 1 - number) * INTERVAL

    def root(self, number: int) -> int:
        """The number of the first task of its workflow; its own if it belongs to none."""
        stretch, place = divmod(number, STRETCH)
        kin = RELATIVES.get(place)
        return number if kin is None else stretch * STRETCH + kin.root

    def family(self, number: int) -> list[int]:
        """The numbers of all tasks of its workflow."""
        root = self.root(number)
        stretch, place = divmod(root, STRETCH)
        others = [stretch * STRETCH + there for there, kin in RELATIVES.items() if kin.root == place]
        return [root, *(other for other in others if other < self.tasks)]

    def roots(self) -> int:
        """How many workflows begin in it."""
        whole, rest = divmod(self.tasks, STRETCH)
        return whole * len(ROOTS) + sum(place < rest for place in ROOTS)

    def nth_root(self, which: int) -> int:
        stretch, place = divmod(which, len(ROOTS))
        return stretch * STRETCH + ROOTS[place]

    def task(self, number: int) -> Task:
        return next(self.row(number, 1))

    def row(self, first: int, count: int) -> Iterator[Task]:
        known = patterns()
        for number in range(first, first + count):
            yield self._task(number, known[number % PATTERNS])

    def _task(self, number: int, pattern: Pattern) -> Task:
        uuid, order = self.uuid(number), self.order(number)
        received = self.at(number) - pattern.late
        sent = received - 0.004 if pattern.queue else None
        stretch, place = divmod(number, STRETCH)
        kin = RELATIVES.get(place)
        task = Task(
            uuid,
            name=pattern.name,
            state="PENDING",
            timestamp=sent or received,
            clock=number,
            sent=sent,
            retries=pattern.tries,
            queue=pattern.queue,
            exchange=None if pattern.queue is None else "",
            routing_key=pattern.queue,
            client=PRODUCERS[number % 4] if pattern.queue else None,
            root_id=uuid if kin is None else self.uuid(stretch * STRETCH + kin.root),
            parent_id=None if kin is None else self.uuid(stretch * STRETCH + kin.parent),
            args=f"{pattern.args}{order}')",
            kwargs=f"{{'order': '{order}{pattern.kwargs}",
        )
        return replace(task, **self._life(number, order, received, pattern))

    def _life(self, number: int, order: str, received: float, pattern: Pattern) -> dict[str, Any]:
        """What became of it by `now`."""
        state = pattern.state
        if state == "PENDING":
            return {}
        life: dict[str, Any] = {"hostname": WORKERS[pattern.worker], "pid": 1000 + pattern.worker}
        life.update(state="RECEIVED", received=received, timestamp=received)
        if pattern.tries:
            life["earlier"] = self._earlier(order, received, pattern)
        started = received + pattern.wait
        if state in ("RECEIVED", "REVOKED", "REJECTED") or started > self.now:
            return life if state == "RECEIVED" or started > self.now else life | _ended(state, started)
        life.update(state="STARTED", started=started, timestamp=started)
        # no two tasks run for quite the same time
        runtime = round(pattern.runtime * (1 + number % 997 / 9_970), 6)
        if state == "STARTED" or started + runtime > self.now:
            return life
        life |= _ended(state, started + runtime)
        if state == "SUCCESS":
            life["runtime"] = runtime
            life["result"] = f"{{'status': 'done', 'order': '{order}', 'receipt': {pattern.receipt}}}"
        else:
            life.update(_failure(order, pattern))
        return life

    def _earlier(self, order: str, received: float, pattern: Pattern) -> tuple[Attempt, ...]:
        worker, failure = WORKERS[pattern.worker], _failure(order, pattern)
        attempts = []
        for number in range(pattern.tries):
            start = received - 5 * (pattern.tries - number)
            attempt = Attempt(number, worker, 1000 + pattern.worker, start, start + 0.2, start + 1, "RETRY")
            attempts.append(replace(attempt, **failure))
        return tuple(attempts)


def _ended(state: str, moment: float) -> dict[str, Any]:
    return {"state": state, "timestamp": moment, _ENDS[state]: moment}


def _failure(order: str, pattern: Pattern) -> dict[str, str]:
    assert pattern.exception is not None
    assert pattern.traceback is not None
    return {
        "exception": pattern.exception.replace("{order}", order),
        "traceback": pattern.traceback.replace("{order}", order),
    }


#: Rooms, verbs and things are parts of the names: words that a person would look for.
WORDS = (*ROOMS, *VERBS, *THINGS)
