"""A believable stream of Celery events whose outcome is known: the same for everyone, every time.

A cluster of 24 workers takes 13,000 tasks a second. The events of a task are orderly, and those of
different tasks are mixed as they would be at that speed, so that nobody profits from a task's events
lying side by side. Of all tasks 4.5 % fail and 3.5 % are retried once, with tracebacks of 1 to 4 KB;
some are revoked, and some have not ended when the stream does. Half of them have a
`task-sent` event, as if half of the producers had `task_send_sent_event` on. No task is rejected: Celery's
own rules leave such a task in RECEIVED, so what would be right is a matter of opinion.

A stream may also be slower (`pace`), so that its tasks spread over hours, and have a note in the arguments of every
fortieth task (`notes`), for there to be sentences to search for that Flower can find too.
"""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

TASKS_PER_SECOND = 13_000
#: Far enough in the past that no stream of a million tasks reaches into the future.
START = 1_790_000_000.0
#: A heartbeat of the next worker after so many task events.
HEARTBEAT_EVERY = 1_000

#: The states in which a task of ours has ended.
FINAL = frozenset({"SUCCESS", "FAILURE", "REVOKED"})

#: With notes, one task in so many has one.
NOTE_EVERY = 40

EventDict = dict[str, Any]

ROOMS = ("orders", "payments", "parcels", "newsletter", "catalogue", "invoices", "accounts", "reports")
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
    f"{room}.tasks.{verb}_{THINGS[(i + j) % 9]}" for i, room in enumerate(ROOMS) for j, verb in enumerate(VERBS)
)
WEIGHTS = tuple(1 / (rank + 1) for rank in range(len(NAMES)))


def worker_name(number: int) -> str:
    return f"celery@worker-{number:02d}.example.com"


WORKERS = tuple(worker_name(number) for number in range(24))
PRODUCERS = tuple(f"gen{4100 + number}@web-{number}" for number in range(4))
IDENTITY = {"sw_ident": "py-celery", "sw_ver": "5.5.3", "sw_sys": "Linux"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has to be visible of a task once all of its events are in."""

    name: str
    args: str
    kwargs: str
    state: str


class Emitted(NamedTuple):
    """An event and, if it is the last one of its task, the state that it leaves the task in."""

    event: EventDict
    final: str | None = None


class Plan(NamedTuple):
    """One task: its events with the seconds after the start at which they happen."""

    uuid: str
    outcome: Outcome
    timeline: list[tuple[float, EventDict]]


@dataclass(frozen=True, slots=True)
class Workload:
    """`tasks` tasks. Equal workloads give equal events."""

    tasks: int
    seed: int = 7
    start: float = START
    #: tasks a second, by the times in their events
    pace: float = TASKS_PER_SECOND
    notes: bool = False
    workers: int = len(WORKERS)
    #: types of tasks; those beyond the usual ones are as frequent as the rarest of these
    types: int = len(NAMES)

    def plans(self) -> Iterator[Plan]:
        chance = random.Random(self.seed)
        more = self.types - len(NAMES)
        known = NAMES[: self.types] + tuple(f"extras.tasks.number_{number}" for number in range(more))
        names = chance.choices(known, (WEIGHTS + WEIGHTS[-1:] * more)[: self.types], k=9_973)
        parent: str | None = None
        for number in range(self.tasks):
            plan = _plan(chance, self, number, names[number % len(names)], parent if number % 10 < 3 else None)
            if number % 10 >= 3 or parent is None:
                parent = plan.uuid
            yield plan

    def outcomes(self) -> dict[str, Outcome]:
        return {plan.uuid: plan.outcome for plan in self.plans()}

    def events(self) -> Iterator[Emitted]:
        """Every event in the order of time, with the workers' own events in between."""
        for number in range(self.workers):
            yield Emitted(_worker_event("worker-online", number, self.workers, self.start, clock=number + 1))
        for count, (event, final) in enumerate(self._task_events(), start=1):
            event["clock"] = self.workers + count
            yield Emitted(event, final)
            if count % HEARTBEAT_EVERY == 0:
                number = count // HEARTBEAT_EVERY
                when, clock = event["timestamp"], event["clock"]
                yield Emitted(_worker_event("worker-heartbeat", number, self.workers, when, clock))

    def _task_events(self) -> Iterator[Emitted]:
        waiting: list[tuple[float, int, EventDict, str | None]] = []
        sequence = 0
        for number, plan in enumerate(self.plans()):
            last = len(plan.timeline) - 1
            for place, (when, event) in enumerate(plan.timeline):
                sequence += 1
                heapq.heappush(waiting, (when, sequence, event, plan.outcome.state if place == last else None))
            while waiting and waiting[0][0] <= number / self.pace:
                yield Emitted(*heapq.heappop(waiting)[2:])
        while waiting:
            yield Emitted(*heapq.heappop(waiting)[2:])


def _worker_event(kind: str, number: int, of: int, timestamp: float, clock: int) -> EventDict:
    worker = number % of
    return {
        "hostname": worker_name(worker), "utcoffset": 0.0, "pid": 1000 + worker, "clock": clock,
        "freq": 2.0, "active": number % 8, "processed": number * 40, "loadavg": [0.7, 0.5, 0.4], **IDENTITY,
        "timestamp": timestamp, "type": kind,
    }  # fmt: skip


def order_of(number: int) -> str:
    """A text that is in this task and in no other."""
    return f"ORD-{number * 7919 % 100_000_000:08d}"


def _plan(chance: random.Random, workload: Workload, number: int, name: str, parent: str | None) -> Plan:
    digits = f"{chance.getrandbits(128):032x}"
    uuid = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
    order = order_of(number)
    args = f"({chance.randint(1, 999_999)}, '{order}')"
    kwargs = (
        f"{{'order': '{order}', 'customer': 'customer{chance.randint(1, 9999)}@example.com', "
        f"'amount': {chance.randint(100, 99_999) / 100}, 'town': '{chance.choice(TOWNS)}'}}"
    )
    if workload.notes and number % NOTE_EVERY == 0:
        kwargs = f"{kwargs[:-1]}, 'note': '{NOTES[number // NOTE_EVERY % len(NOTES)]}'}}"
    worker = chance.randrange(workload.workers)
    body = {
        "name": name, "args": args, "kwargs": kwargs, "root_id": parent or uuid, "parent_id": parent,
        "retries": 0, "eta": None, "expires": None,
    }  # fmt: skip
    at = number / workload.pace
    steps: list[tuple[float, str, EventDict]] = []
    if number % 2:
        route = {"queue": ROOMS[worker % 8], "exchange": "", "routing_key": ROOMS[worker % 8]}
        steps.append((at, "task-sent", {**body, **route}))
    state = _life(chance, steps, at + 0.002 + chance.random() * 0.02, body, order)
    timeline = []
    for when, kind, fields in steps:
        sender = PRODUCERS[number % 4] if kind == "task-sent" else worker_name(worker)
        event = {"hostname": sender, "utcoffset": 0.0, "pid": 1000 + worker, "clock": 0, "uuid": uuid, **fields}
        event["timestamp"] = workload.start + when
        event["type"] = kind
        timeline.append((when, event))
    return Plan(uuid, Outcome(name, args, kwargs, state), timeline)


def _life(
    chance: random.Random, steps: list[tuple[float, str, EventDict]], at: float, body: EventDict, order: str
) -> str:
    """What happens from the moment a worker has the task; gives the state it is left in."""
    fate = chance.random()
    wait = chance.expovariate(1 / 0.3)
    run = min(chance.lognormvariate(-1.6, 1.2), 60.0)
    steps.append((at, "task-received", body))
    if fate < 0.015:
        steps.append((at + wait, "task-revoked", {"terminated": False, "signum": None, "expired": False}))
        return "REVOKED"
    if fate < 0.020:
        return "RECEIVED"
    at += wait
    steps.append((at, "task-started", {}))
    if fate < 0.055:
        steps.append((at + run, "task-retried", _failure(chance, order)))
        steps.append((at + run + 0.5, "task-received", {**body, "retries": 1}))
        at += run + 0.5 + wait
        steps.append((at, "task-started", {}))
    if fate < 0.030:
        return "STARTED"
    if fate < 0.075:
        steps.append((at + run, "task-failed", _failure(chance, order)))
        return "FAILURE"
    result = f"{{'status': 'done', 'order': '{order}', 'receipt': {chance.randint(1, 10**9)}}}"
    steps.append((at + run, "task-succeeded", {"result": result, "runtime": round(run, 6)}))
    return "SUCCESS"


def _failure(chance: random.Random, order: str) -> EventDict:
    exception = chance.choice(ERRORS).format(order)
    lines = ["Traceback (most recent call last):"]
    for _ in range(chance.randint(8, 28)):
        room, thing = chance.choice(ROOMS), chance.choice(THINGS)
        verb = chance.choice(VERBS)
        lines.append(f'  File "/srv/shop/{room}/{thing}.py", line {chance.randint(10, 900)}, in {verb}_{thing}')
        lines.append(f"    return {room}.{verb}({thing}, number={chance.randint(1, 99_999)})")
    return {"exception": exception, "traceback": "\n".join([*lines, exception])}
