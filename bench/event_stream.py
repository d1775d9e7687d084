"""A realistic stream of Celery events with a known outcome, identical in every run.

A cluster of 24 workers executes 13,000 tasks per second. The events of one task are in order, and those of different
tasks are interleaved as at that rate, so that no system benefits from adjacent events of one task. 4.5 % of the tasks
fail and 3.5 % are retried once, with tracebacks of 1 to 4 KB; some are revoked, and some have no final event. Half of
them have a `task-sent` event, as if half of the producers had enabled `task_send_sent_event`. No task is rejected:
Celery's own rules leave such a task in RECEIVED, so its correct state is debatable.

A stream can also be slower (`pace`), so that its tasks spread over hours, and can have a note in the arguments of every
fortieth task (`notes`): sentences that Flower can search for, too.
"""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

TASKS_PER_SECOND = 13_000
#: Events per task, heartbeats included.
EVENTS_PER_TASK = 3.58
#: Far enough in the past: a stream of a million tasks ends before the present.
START = 1_790_000_000.0
#: Task events between two heartbeats; the workers take turns.
EVENTS_PER_HEARTBEAT = 1_000

#: The final states of the tasks of a workload.
FINAL_STATES = frozenset({"SUCCESS", "FAILURE", "REVOKED"})

#: With `notes`, one task in this many has a note.
TASKS_PER_NOTE = 40

EventDict = dict[str, Any]

DEPARTMENTS = ("orders", "payments", "parcels", "newsletter", "catalogue", "invoices", "accounts", "reports")
VERBS = ("charge", "render", "import", "notify", "recount", "archive", "translate")
THINGS = ("basket", "refund", "label", "price_list", "customer", "statement", "picture", "voucher", "address")
TOWNS = ("Aarhus", "Bergen", "Cádiz", "Dresden", "Évora", "Ferrara", "Göteborg", "Haarlem")
ERRORS = (
    "ValueError('no price for article {0}')",
    "ConnectionError('payment gateway did not answer for {0}')",
    "KeyError('{0}')",
    "TimeoutError('label printer busy, order {0}')",
)
NOTES = (
    "please leave the parcel with the neighbours on the left",
    "gift for a birthday, no price on the delivery note",
    "customer wants to be called before the driver leaves",
    "paid twice by mistake, see the letter of last Tuesday",
    "replaces the broken lamp of the order before this one",
    "send together with the books that are still on their way",
)
NAMES = tuple(
    f"{department}.tasks.{verb}_{THINGS[(i + j) % 9]}"
    for i, department in enumerate(DEPARTMENTS)
    for j, verb in enumerate(VERBS)
)
WEIGHTS = tuple(1 / (rank + 1) for rank in range(len(NAMES)))


def worker_name(number: int) -> str:
    return f"celery@worker-{number:02d}.example.com"


WORKERS = tuple(worker_name(number) for number in range(24))
PRODUCERS = tuple(f"gen{4100 + number}@web-{number}" for number in range(4))
IDENTITY = {"sw_ident": "py-celery", "sw_ver": "5.5.3", "sw_sys": "Linux"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What must be visible of a task after all of its events."""

    name: str
    args: str
    kwargs: str
    state: str


class Emitted(NamedTuple):
    """An event and, if it is the last one of its task, the final state of the task."""

    event: EventDict
    final: str | None = None


class TaskPlan(NamedTuple):
    """One task: its events, each with its time in seconds after the start of the stream."""

    uuid: str
    outcome: Outcome
    timeline: list[tuple[float, EventDict]]


@dataclass(frozen=True, slots=True)
class Workload:
    """A stream of the events of `tasks` tasks. Equal workloads produce equal events."""

    tasks: int
    seed: int = 7
    start: float = START
    #: tasks per second, by the times of their events
    pace: float = TASKS_PER_SECOND
    notes: bool = False
    workers: int = len(WORKERS)
    #: number of task types; additional types are as frequent as the rarest usual type
    types: int = len(NAMES)

    def plans(self) -> Iterator[TaskPlan]:
        rng = random.Random(self.seed)
        extra = self.types - len(NAMES)
        types_used = NAMES[: self.types] + tuple(f"extras.tasks.number_{number}" for number in range(extra))
        names = rng.choices(types_used, (WEIGHTS + WEIGHTS[-1:] * extra)[: self.types], k=9_973)
        parent: str | None = None
        for number in range(self.tasks):
            plan = _plan_task(rng, self, number, names[number % len(names)], parent if number % 10 < 3 else None)
            if number % 10 >= 3 or parent is None:
                parent = plan.uuid
            yield plan

    def outcomes(self) -> dict[str, Outcome]:
        return {plan.uuid: plan.outcome for plan in self.plans()}

    def events(self) -> Iterator[Emitted]:
        """All events in chronological order, including those of the workers."""
        for number in range(self.workers):
            yield Emitted(_worker_event("worker-online", number, self.workers, self.start, clock=number + 1))
        for count, (event, final) in enumerate(self._task_events(), start=1):
            event["clock"] = self.workers + count
            yield Emitted(event, final)
            if count % EVENTS_PER_HEARTBEAT == 0:
                number = count // EVENTS_PER_HEARTBEAT
                when, clock = event["timestamp"], event["clock"]
                yield Emitted(_worker_event("worker-heartbeat", number, self.workers, when, clock))

    def _task_events(self) -> Iterator[Emitted]:
        pending: list[tuple[float, int, EventDict, str | None]] = []
        sequence = 0
        for number, plan in enumerate(self.plans()):
            last = len(plan.timeline) - 1
            for position, (when, event) in enumerate(plan.timeline):
                sequence += 1
                heapq.heappush(pending, (when, sequence, event, plan.outcome.state if position == last else None))
            while pending and pending[0][0] <= number / self.pace:
                yield Emitted(*heapq.heappop(pending)[2:])
        while pending:
            yield Emitted(*heapq.heappop(pending)[2:])


def _worker_event(kind: str, number: int, of: int, timestamp: float, clock: int) -> EventDict:
    worker = number % of
    return {
        "hostname": worker_name(worker), "utcoffset": 0.0, "pid": 1000 + worker, "clock": clock,
        "freq": 2.0, "active": number % 8, "processed": number * 40, "loadavg": [0.7, 0.5, 0.4], **IDENTITY,
        "timestamp": timestamp, "type": kind,
    }  # fmt: skip


def order_number(number: int) -> str:
    """A text that only this task contains."""
    return f"ORD-{number * 7919 % 100_000_000:08d}"


def _plan_task(rng: random.Random, workload: Workload, number: int, name: str, parent: str | None) -> TaskPlan:
    digits = f"{rng.getrandbits(128):032x}"
    uuid = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
    order = order_number(number)
    args = f"({rng.randint(1, 999_999)}, '{order}')"
    kwargs = (
        f"{{'order': '{order}', 'customer': 'customer{rng.randint(1, 9999)}@example.com', "
        f"'amount': {rng.randint(100, 99_999) / 100}, 'town': '{rng.choice(TOWNS)}'}}"
    )
    if workload.notes and number % TASKS_PER_NOTE == 0:
        kwargs = f"{kwargs[:-1]}, 'note': '{NOTES[number // TASKS_PER_NOTE % len(NOTES)]}'}}"
    worker = rng.randrange(workload.workers)
    body = {
        "name": name, "args": args, "kwargs": kwargs, "root_id": parent or uuid, "parent_id": parent,
        "retries": 0, "eta": None, "expires": None,
    }  # fmt: skip
    at = number / workload.pace
    steps: list[tuple[float, str, EventDict]] = []
    if number % 2:
        route = {"queue": DEPARTMENTS[worker % 8], "exchange": "", "routing_key": DEPARTMENTS[worker % 8]}
        steps.append((at, "task-sent", {**body, **route}))
    state = _task_steps(rng, steps, at + 0.002 + rng.random() * 0.02, body, order)
    timeline = []
    for when, kind, fields in steps:
        sender = PRODUCERS[number % 4] if kind == "task-sent" else worker_name(worker)
        event = {"hostname": sender, "utcoffset": 0.0, "pid": 1000 + worker, "clock": 0, "uuid": uuid, **fields}
        event["timestamp"] = workload.start + when
        event["type"] = kind
        timeline.append((when, event))
    return TaskPlan(uuid, Outcome(name, args, kwargs, state), timeline)


def _task_steps(
    rng: random.Random, steps: list[tuple[float, str, EventDict]], at: float, body: EventDict, order: str
) -> str:
    """Append the events from the receipt of the task on. Returns its last state."""
    draw = rng.random()
    wait = rng.expovariate(1 / 0.3)
    run = min(rng.lognormvariate(-1.6, 1.2), 60.0)
    steps.append((at, "task-received", body))
    if draw < 0.015:
        steps.append((at + wait, "task-revoked", {"terminated": False, "signum": None, "expired": False}))
        return "REVOKED"
    if draw < 0.020:
        return "RECEIVED"
    at += wait
    steps.append((at, "task-started", {}))
    if draw < 0.055:
        steps.append((at + run, "task-retried", _failure(rng, order)))
        steps.append((at + run + 0.5, "task-received", {**body, "retries": 1}))
        at += run + 0.5 + wait
        steps.append((at, "task-started", {}))
    if draw < 0.030:
        return "STARTED"
    if draw < 0.075:
        steps.append((at + run, "task-failed", _failure(rng, order)))
        return "FAILURE"
    result = f"{{'status': 'done', 'order': '{order}', 'receipt': {rng.randint(1, 10**9)}}}"
    steps.append((at + run, "task-succeeded", {"result": result, "runtime": round(run, 6)}))
    return "SUCCESS"


def _failure(rng: random.Random, order: str) -> EventDict:
    exception = rng.choice(ERRORS).format(order)
    lines = ["Traceback (most recent call last):"]
    for _ in range(rng.randint(8, 28)):
        department, thing = rng.choice(DEPARTMENTS), rng.choice(THINGS)
        verb = rng.choice(VERBS)
        lines.append(f'  File "/srv/shop/{department}/{thing}.py", line {rng.randint(10, 900)}, in {verb}_{thing}')
        lines.append(f"    return {department}.{verb}({thing}, number={rng.randint(1, 99_999)})")
    return {"exception": exception, "traceback": "\n".join([*lines, exception])}
