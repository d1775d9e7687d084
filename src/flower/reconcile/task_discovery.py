"""Tasks that workers or queues have and that are not recorded: they were sent or received before events were enabled,
or during a gap."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from flower.reconcile.findings import HeldTask, QueuedMessage, WorkersAnswer
from flower.records import PENDING, RECEIVED, RETRY, STARTED, Evidence, Task

#: Seconds that a task must be known without a record: the events of a new task are on their way.
MIN_AGE: Final = 5.0


class _FirstSeen:
    """When each of the ids of the last call was first seen."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._seen_at: dict[str, float] = {}

    def find_old(self, uuids: Iterable[str]) -> set[str]:
        """Those ids that were seen in earlier calls, at least MIN_AGE seconds ago."""
        now = self.clock()
        self._seen_at = {uuid: self._seen_at.get(uuid, now) for uuid in uuids}
        return {uuid for uuid, seen_at in self._seen_at.items() if now - seen_at >= MIN_AGE}


class UnrecordedTasks:
    """Selects tasks of workers that are not recorded. For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._seen = _FirstSeen(clock)
        #: when to inspect the workers again, because tasks were too young to be selected
        self.next_look_at: float | None = None

    def select(self, answer: WorkersAnswer, find_task: Callable[[str], Task | None]) -> list[Evidence]:
        """Evidence of the tasks in this answer that were not recorded for some time."""
        unrecorded = {uuid: held for uuid, held in answer.held.items() if find_task(uuid) is None}
        old = self._seen.find_old(unrecorded)
        selected = [
            held
            for uuid, held in unrecorded.items()
            if uuid in old or (held.started is not None and answer.observed_at - held.started >= MIN_AGE)
        ]
        self.next_look_at = self._seen.clock() + MIN_AGE if len(selected) < len(unrecorded) else None
        return [_to_evidence(held) for held in selected]


class UnrecordedMessages:
    """Selects messages whose tasks are not recorded. For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._seen = _FirstSeen(clock)
        #: when to read the queues again, because messages were too young to be selected
        self.next_look_at: float | None = None

    def select(
        self,
        messages: Sequence[QueuedMessage],
        find_task: Callable[[str], Task | None],
        is_held: Callable[[QueuedMessage], bool],
    ) -> list[Evidence]:
        """Evidence of the tasks that wait and were not recorded for some time. `is_held`: a worker has or may have
        the task of an unacknowledged message."""
        unrecorded = {
            message.uuid: message
            for message in messages
            if (message.is_waiting or not is_held(message)) and find_task(message.uuid) is None
        }
        old = self._seen.find_old(unrecorded)
        self.next_look_at = self._seen.clock() + MIN_AGE if len(old) < len(unrecorded) else None
        return [_message_evidence(unrecorded[uuid]) for uuid in unrecorded if uuid in old]


def _message_evidence(message: QueuedMessage) -> Evidence:
    return Evidence(
        uuid=message.uuid,
        source="broker",
        observed_at=message.observed_at,
        state=RETRY if message.retries else PENDING,
        basis=None,
        name=message.name,
        args=message.args,
        kwargs=message.kwargs,
        queue=message.queue,
        retries=message.retries,
        root_id=message.root_id,
        parent_id=message.parent_id,
        eta=message.eta,
        expires=message.expires,
    )


def _to_evidence(held: HeldTask) -> Evidence:
    return Evidence(
        uuid=held.uuid,
        source="worker",
        observed_at=held.observed_at,
        state=STARTED if held.list_name == "active" else RECEIVED,
        basis=None,
        hostname=held.hostname,
        pid=held.pid,
        name=held.name,
        args=held.args,
        kwargs=held.kwargs,
        queue=held.queue,
        started=held.started,
    )
