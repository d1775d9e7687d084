"""Which unfinished tasks are due for an examination.

A task is due when its worker stopped, when it runs for too long, when its expiry time has passed, when a younger
message of its queue was taken, and otherwise in a slow periodic pass. A task that was examined without a result is
examined again after a delay that doubles.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from flower.reconcile.cluster_view import ClusterView
from flower.records import RECEIVED, RETRY, WAITING_STATES, Task

#: periodic is the reason of a task for which there is no other
Reason: TypeAlias = Literal[
    "forced", "confirmation", "worker", "overdue", "expired", "passed", "returned", "marked", "periodic"
]

#: Seconds between two examinations of a task, if nothing is wrong or it is marked.
PERIODIC_INTERVAL: Final = 60.0
#: Seconds between two examinations of a marked task, after several without a result.
MAX_MARKED_INTERVAL: Final = 300.0
#: Periodic examinations take place at multiples of this number of seconds.
PERIOD_ALIGNMENT: Final = 30.0
#: Seconds between the first two examinations of a task with which something is wrong; doubled each time.
MIN_INTERVAL: Final = 5.0
#: Seconds between two examinations that must agree.
CONFIRMATION_DELAY: Final = 2.0

#: A task is overdue after this many times the 95th percentile of its type, and after this many seconds.
SLOW_FACTOR: Final = 10.0
MIN_OVERDUE: Final = 10.0
#: Seconds after which the time limit of a task, or its expiry time, has certainly passed.
LIMIT_MARGIN: Final = 5.0
EXPIRY_MARGIN: Final = 2.0
#: Seconds by which a message must be younger to show that an older one was taken.
YOUNGER_MARGIN: Final = 2.0


@dataclass(slots=True)
class _Entry:
    basis: tuple[str, float | None]
    examined: int = 0
    due_at: float = 0.0
    is_unconfirmed: bool = False
    reason: Reason = "periodic"


@dataclass(slots=True)
class Schedule:
    """When tasks are examined next. For one thread; times are monotonic."""

    clock: Callable[[], float] = time.monotonic
    confirmation_delay: float = CONFIRMATION_DELAY
    _entries: dict[str, _Entry] = field(default_factory=dict)

    def is_due(self, task: Task, reason: Reason) -> bool:
        """Whether a task with this reason is due now."""
        now = self.clock()
        entry = self._entries.get(task.uuid)
        if entry is None or entry.basis != (task.state, task.timestamp):
            # A task that is in order is examined first after one interval.
            entry = self._entries[task.uuid] = _Entry((task.state, task.timestamp), reason=reason)
            entry.due_at = now + self._until_next_period() if reason == "periodic" else now
        if reason not in (entry.reason, "confirmation"):
            entry.reason = reason
            if reason not in ("periodic", "marked"):
                entry.examined, entry.due_at = 0, min(entry.due_at, now)
        return reason == "forced" or now >= entry.due_at

    def set_examined(self, task: Task, reason: Reason, *, is_unconfirmed: bool) -> None:
        """The task was examined."""
        entry = self._entries.setdefault(task.uuid, _Entry((task.state, task.timestamp)))
        entry.basis = (task.state, task.timestamp)
        if is_unconfirmed:
            delay = self.confirmation_delay
        elif reason == "periodic":
            delay = self._until_next_period()
        elif reason == "marked":
            delay = min(MAX_MARKED_INTERVAL, PERIODIC_INTERVAL * 2.0 ** min(entry.examined, 6))
        else:
            delay = min(PERIODIC_INTERVAL, MIN_INTERVAL * 2.0 ** min(entry.examined, 6))
        entry.examined += 1
        entry.is_unconfirmed = is_unconfirmed
        entry.due_at = self.clock() + delay

    def _until_next_period(self) -> float:
        """Seconds until a task that is in order is examined again: together with others, because one inspection is
        sufficient for all of them."""
        now = self.clock()
        return math.ceil((now + PERIODIC_INTERVAL) / PERIOD_ALIGNMENT) * PERIOD_ALIGNMENT - now

    def awaits_confirmation(self, uuid: str) -> bool:
        entry = self._entries.get(uuid)
        return entry is not None and entry.is_unconfirmed

    @property
    def next_confirmation(self) -> float | None:
        """When the next task is due that awaits confirmation."""
        return min((entry.due_at for entry in self._entries.values() if entry.is_unconfirmed), default=None)

    def retain(self, uuids: Iterable[str]) -> None:
        """Remove all tasks but these."""
        kept = set(uuids)
        self._entries = {uuid: entry for uuid, entry in self._entries.items() if uuid in kept}


@dataclass(frozen=True, slots=True)
class Signs:
    """Signs that the record of a task may be wrong."""

    view: ClusterView
    #: 95th percentile of the run time by task type
    slow_thresholds: Mapping[str, float] = field(default_factory=dict)
    #: by queue, when the youngest message was sent that was taken
    youngest_taken: Mapping[str, float] = field(default_factory=dict)
    #: examine every task
    is_forced: bool = False


def find_reason(task: Task, signs: Signs) -> Reason:
    """Why an unfinished task is examined."""
    if signs.is_forced:
        return "forced"
    condition = signs.view.condition(task)
    if task.lost is not None:
        if condition == "gone" and task.lost.reason == "message_unacknowledged":
            return "worker"
        return "marked" if condition in ("gone", "silent", "none") else "returned"
    if condition in ("gone", "silent"):
        return "worker"
    if _is_overdue(task, signs):
        return "overdue"
    if task.state not in WAITING_STATES or task.state == RECEIVED:
        return "periodic"
    expires = parse_time(task.expires)
    if expires is not None and signs.view.now > expires + EXPIRY_MARGIN:
        return "expired"
    taken = signs.youngest_taken.get(task.queue or "")
    if task.state != RETRY and taken is not None and task.sent is not None and taken > task.sent + YOUNGER_MARGIN:
        return "passed"
    return "periodic"


def _is_overdue(task: Task, signs: Signs) -> bool:
    if task.state in WAITING_STATES or task.started is None:
        return False
    age = signs.view.now + (task.clock_offset or 0.0) - task.started
    options = signs.view.options(task.name)
    if options is not None and options.time_limit is not None and age > options.time_limit + LIMIT_MARGIN:
        return True
    threshold = signs.slow_thresholds.get(task.name or "")
    return threshold is not None and age > max(SLOW_FACTOR * threshold, MIN_OVERDUE)


def parse_time(text: str | None) -> float | None:
    """Epoch seconds of the ISO 8601 text of an event; without a time zone it is in UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
