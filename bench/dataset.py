"""The tasks of the query benchmarks: any number of them, and each can be generated independently of the others.

A million tasks per day on 24 workers, the last of them at the time `now`: a window of 24 hours contains a million,
whatever the size of the dataset. The content of a task is one of about twenty thousand patterns (name, queue, final
state, wait time, runtime); its id, order number, times and relatives are unique. One task in ten belongs to a workflow
of two to fifty tasks. Each has about 325 bytes of text that can be searched.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import md5
from typing import Any, NamedTuple

from msgspec.structs import replace

from bench.event_stream import DEPARTMENTS, NAMES, PRODUCERS, THINGS, TOWNS, VERBS, WEIGHTS, WORKERS, order_number
from bench.failure_fixtures import random_failure
from flower.records import Attempt, Task

DAY = 86_400.0
#: Seconds between two tasks.
TASK_INTERVAL = DAY / 1_000_000
#: A prime: the pattern of a task does not depend on its position in a workflow.
PATTERNS = 20_011
QUEUES = ("default", "payments", "parcels", "newsletter", "catalogue", "reports")
#: Every cycle of 1,009 tasks contains workflows of these sizes, with members ten tasks apart.
CYCLE = 1_009
SIZES = (2, 50, 3, 8, 12, 5, 20)
STRIDE = 10
STATE_SHARES = {
    "SUCCESS": 0.920, "FAILURE": 0.052, "REVOKED": 0.012, "RETRY": 0.006,
    "STARTED": 0.004, "RECEIVED": 0.003, "PENDING": 0.002, "REJECTED": 0.001,
}  # fmt: skip
#: Share of the started tasks with earlier attempts.
RETRIED_SHARE = 0.03
#: Terms in the text of many tasks.
COMMON_TERMS = (*TOWNS, "example.com", "customer", "amount", "done", *THINGS)
_END_FIELDS = {
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "REVOKED": "revoked",
    "REJECTED": "rejected",
    "RETRY": "retried",
}


class Relatives(NamedTuple):
    """Positions in the cycle: of the first task of the workflow and of the parent."""

    root: int
    parent: int


class Pattern(NamedTuple):
    name: str
    worker: int
    queue: str | None
    state: str
    wait: float
    runtime: float
    delay: float  # of its receipt: ids and times are not in exactly the same order
    args: str  # before the order number
    kwargs: str  # after it
    receipt: int
    exception: str | None  # with the placeholder of the order number
    traceback: str | None
    retries: int


def _relatives() -> dict[int, Relatives]:
    relatives = {}
    first = 0
    for size in SIZES:
        for member in range(1, size):
            # each task starts up to three others
            relatives[(first + member) * STRIDE] = Relatives(first * STRIDE, (first + (member - 1) // 3) * STRIDE)
        first += size
    return relatives


RELATIVES = _relatives()
ROOTS = tuple(STRIDE * sum(SIZES[:position]) for position in range(len(SIZES)))


@cache
def patterns() -> tuple[Pattern, ...]:
    rng = random.Random(11)
    return tuple(_pattern(rng) for _ in range(PATTERNS))


def _pattern(rng: random.Random) -> Pattern:
    type_index = rng.choices(range(len(NAMES)), WEIGHTS)[0]
    state = rng.choices(tuple(STATE_SHARES), tuple(STATE_SHARES.values()))[0]
    retries = rng.randint(1, 3) if state == "RETRY" or rng.random() < RETRIED_SHARE else 0
    failed = state in ("FAILURE", "RETRY") or retries
    failure, number = random_failure(rng), rng.randint(2, 9_999)
    kwargs = (
        f"', 'customer': 'customer{rng.randint(1, 99_999)}@example.com', "
        f"'amount': {rng.randint(100, 99_999) / 100}, 'town': '{rng.choice(TOWNS)}'}}"
    )
    return Pattern(
        NAMES[type_index],
        rng.randrange(len(WORKERS)),
        # the queue of the task type; known for three tasks in four, those with a task-sent event
        QUEUES[type_index * len(QUEUES) // len(NAMES)] if rng.random() < 0.75 else None,
        state,
        rng.expovariate(1 / 0.3),
        min(rng.lognormvariate(-2.5 + 3 * (type_index % 7) / 7, 0.8), 600.0),
        min(rng.expovariate(2.0), 5.0),
        f"({rng.randint(1, 999_999)}, '",
        kwargs,
        rng.randint(1, 10**9),
        failure.repr(number) if failed else None,
        failure.traceback(number) if failed else None,
        retries,
    )


@dataclass(frozen=True, slots=True)
class Dataset:
    """`tasks` tasks, numbered from 0; the last one is at `now` (epoch seconds). Equal datasets have equal tasks."""

    tasks: int
    now: float

    def uuid(self, number: int) -> str:
        digits = md5(b"%d" % number, usedforsecurity=False).hexdigest()
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def order(self, number: int) -> str:
        """A text that only this task contains."""
        return order_number(number)

    def scheduled_at(self, number: int) -> float:
        """The scheduled time; the task is received up to five seconds earlier."""
        return self.now - (self.tasks - 1 - number) * TASK_INTERVAL

    def root(self, number: int) -> int:
        """The number of the first task of its workflow; its own number if it has no workflow."""
        cycle, position = divmod(number, CYCLE)
        relatives = RELATIVES.get(position)
        return number if relatives is None else cycle * CYCLE + relatives.root

    def family(self, number: int) -> list[int]:
        """The numbers of all tasks of its workflow."""
        root = self.root(number)
        cycle, position = divmod(root, CYCLE)
        members = [cycle * CYCLE + offset for offset, relatives in RELATIVES.items() if relatives.root == position]
        return [root, *(member for member in members if member < self.tasks)]

    def workflow_count(self) -> int:
        """The number of workflows."""
        cycles, rest = divmod(self.tasks, CYCLE)
        return cycles * len(ROOTS) + sum(position < rest for position in ROOTS)

    def workflow_root(self, index: int) -> int:
        cycle, position = divmod(index, len(ROOTS))
        return cycle * CYCLE + ROOTS[position]

    def task(self, number: int) -> Task:
        return next(self.row(number, 1))

    def row(self, first: int, count: int) -> Iterator[Task]:
        all_patterns = patterns()
        for number in range(first, first + count):
            yield self._task(number, all_patterns[number % PATTERNS])

    def _task(self, number: int, pattern: Pattern) -> Task:
        uuid, order = self.uuid(number), self.order(number)
        received = self.scheduled_at(number) - pattern.delay
        sent = received - 0.004 if pattern.queue else None
        cycle, position = divmod(number, CYCLE)
        relatives = RELATIVES.get(position)
        task = Task(
            uuid,
            name=pattern.name,
            state="PENDING",
            timestamp=sent or received,
            clock=number,
            sent=sent,
            retries=pattern.retries,
            queue=pattern.queue,
            exchange=None if pattern.queue is None else "",
            routing_key=pattern.queue,
            client=PRODUCERS[number % 4] if pattern.queue else None,
            root_id=uuid if relatives is None else self.uuid(cycle * CYCLE + relatives.root),
            parent_id=None if relatives is None else self.uuid(cycle * CYCLE + relatives.parent),
            args=f"{pattern.args}{order}')",
            kwargs=f"{{'order': '{order}{pattern.kwargs}",
        )
        return replace(task, **self._progress(number, order, received, pattern))

    def _progress(self, number: int, order: str, received: float, pattern: Pattern) -> dict[str, Any]:
        """The fields that its events set by `now`."""
        state = pattern.state
        if state == "PENDING":
            return {}
        fields: dict[str, Any] = {"hostname": WORKERS[pattern.worker], "pid": 1000 + pattern.worker}
        fields.update(state="RECEIVED", received=received, timestamp=received)
        if pattern.retries:
            fields["earlier"] = self._attempts(order, received, pattern)
        started = received + pattern.wait
        if state in ("RECEIVED", "REVOKED", "REJECTED") or started > self.now:
            return fields if state == "RECEIVED" or started > self.now else fields | _ended(state, started)
        fields.update(state="STARTED", started=started, timestamp=started)
        # runtimes are distinct
        runtime = round(pattern.runtime * (1 + number % 997 / 9_970), 6)
        if state == "STARTED" or started + runtime > self.now:
            return fields
        fields |= _ended(state, started + runtime)
        if state == "SUCCESS":
            fields["runtime"] = runtime
            fields["result"] = f"{{'status': 'done', 'order': '{order}', 'receipt': {pattern.receipt}}}"
        else:
            fields.update(_failure(order, pattern))
        return fields

    def _attempts(self, order: str, received: float, pattern: Pattern) -> tuple[Attempt, ...]:
        worker, failure = WORKERS[pattern.worker], _failure(order, pattern)
        attempts = []
        for number in range(pattern.retries):
            start = received - 5 * (pattern.retries - number)
            attempt = Attempt(number, worker, 1000 + pattern.worker, start, start + 0.2, start + 1, "RETRY")
            attempts.append(replace(attempt, **failure))
        return tuple(attempts)


def _ended(state: str, time: float) -> dict[str, Any]:
    return {"state": state, "timestamp": time, _END_FIELDS[state]: time}


def _failure(order: str, pattern: Pattern) -> dict[str, str]:
    assert pattern.exception is not None
    assert pattern.traceback is not None
    return {
        "exception": pattern.exception.replace("{order}", order),
        "traceback": pattern.traceback.replace("{order}", order),
    }


#: Parts of the task names: words that a user searches for.
WORDS = (*DEPARTMENTS, *VERBS, *THINGS)
