"""The correct state of each task: from the ledgers, the processes that live, and what the broker has."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from celery import Celery

from chaos.cluster import BrokerView, ChaosWorker
from chaos.ledger import Ledger, TaskHistory

#: A state and the worker that must be shown with it; None: any worker or none.
Correct = tuple[str, str | None]

#: Rate limits hold tasks in a list of the worker that no inspection shows.
INVISIBLE = frozenset({"chaos.limited", "chaos.limited_long"})


@dataclass(frozen=True, slots=True)
class TaskTruth:
    """`correct` are all states that may be shown; empty if nothing has the task and nothing will ever run it."""

    uuid: str
    correct: frozenset[Correct]
    #: for people: "ended", "runs", "held", "waits", "limbo", "expired", "gone"
    condition: str
    #: states of the runs that ended
    ends: frozenset[str] = frozenset()


@dataclass(slots=True)
class Observation:
    """What was read about the cluster at one moment."""

    ledger: Ledger
    #: hostname to process ids, of workers whose process exists
    pids: Mapping[str, frozenset[int]]
    #: hostname to ids that the worker has, running or held; absent: the worker did not reply
    inspected: Mapping[str, frozenset[str]]
    broker: BrokerView
    #: tasks that went on while the workers were inspected
    moving: frozenset[str] = frozenset()


def observe(
    app: Celery,
    read_ledger: Callable[[], Ledger],
    workers: Iterable[ChaosWorker],
    read_broker: Callable[[], BrokerView],
) -> Observation:
    ledger, broker = read_ledger(), read_broker()
    living = [worker for worker in workers if worker.is_running]
    pids = {worker.hostname: frozenset(worker.pids()) for worker in living}
    answering = [worker.hostname for worker in living if not worker.is_stopped]
    inspected = inspect(app, answering)
    lines = {uuid: len(history.lines) for uuid, history in ledger.tasks.items()}
    moving = [uuid for uuid, history in read_ledger().tasks.items() if len(history.lines) != lines.get(uuid)]
    return Observation(ledger, pids, inspected, broker, frozenset(moving))


def find_passed_states(history: TaskHistory, since: float) -> TaskTruth:
    """The states of the lines of the ledger since a time of its clock: correct while it was read."""
    passed = {"received": "RECEIVED", "start": "STARTED"}
    correct = frozenset((passed[line["what"]], line["host"]) for line in history.find(*passed) if line["at"] >= since)
    return TaskTruth(history.uuid, correct, "changes")


def inspect(app: Celery, hostnames: Sequence[str]) -> dict[str, frozenset[str]]:
    """The ids that each worker has. A worker that does not reply is absent."""
    if not hostnames:
        return {}
    found: dict[str, set[str]] = {}
    inspection = app.control.inspect(destination=list(hostnames), timeout=2)
    for method in ("active", "reserved", "scheduled"):
        replies: Mapping[str, Any] = {}
        with suppress(app.connection().connection_errors):
            replies = getattr(inspection, method)() or {}
        for hostname in hostnames:
            if hostname not in replies:
                found.pop(hostname, None)
                hostnames = [name for name in hostnames if name != hostname]
        for hostname, tasks in replies.items():
            found.setdefault(hostname, set()).update((task.get("request") or task)["id"] for task in tasks)
    return {hostname: frozenset(ids) for hostname, ids in found.items() if hostname in hostnames}


def find_truth(observation: Observation) -> dict[str, TaskTruth]:
    return {
        uuid: _TaskFinder(history, observation).find()
        for uuid, history in observation.ledger.tasks.items()
        if history.find("sent", "received", "start")
    }


class _TaskFinder:
    def __init__(self, history: TaskHistory, observation: Observation) -> None:
        self.history = history
        self.observation = observation
        self.ends = frozenset(self._find_ends())
        self.was_retried = any(line["state"] == "RETRY" for line in history.find("end"))

    def find(self) -> TaskTruth:
        correct: set[Correct] = {(state, None) for state in self.ends}
        condition = "ended" if self.ends else ""
        running = self.running_at()
        correct |= {("STARTED", hostname) for hostname in running}
        if running:
            condition = condition or "runs"
        else:
            again, found = self._find_waiting()
            # A task that ended and waits for another run may be shown in either condition.
            correct |= again
            condition = condition or found
        return TaskTruth(self.history.uuid, frozenset(correct), condition, self.ends)

    def _find_ends(self) -> Iterable[str]:
        for line in self.history.lines:
            if line["what"] == "end" and line["state"] in ("SUCCESS", "FAILURE", "REVOKED"):
                yield line["state"]
            elif line["what"] == "fail":
                yield "FAILURE"
            elif line["what"] == "revoked":
                yield "REVOKED"

    def running_at(self) -> set[str]:
        """The workers on which it runs: a start by a living process without an end by that process."""
        open_starts: dict[int, str] = {}
        for line in self.history.lines:
            if line["what"] == "start":
                open_starts[line["pid"]] = line["host"]
            elif line["what"] == "end":
                open_starts.pop(line["pid"], None)
        pids = self.observation.pids
        return {host for pid, host in open_starts.items() if pid in pids.get(host, ())}

    def _find_waiting(self) -> tuple[set[Correct], str]:
        held = self._held_at()
        if held:
            states = ("RECEIVED", "RETRY") if self.was_retried else ("RECEIVED",)
            return {(state, hostname) for hostname in held for state in states}, "held"
        waiting: set[Correct] = {("PENDING", None), *([("RETRY", None)] if self.was_retried else [])}
        broker, uuid = self.observation.broker, self.history.uuid
        if broker.waiting is not None:
            if any(uuid in ids for ids in broker.waiting.values()):
                return waiting, "waits"
            if uuid in (broker.unacknowledged or ()):
                return waiting, "limbo"
            return set(), "gone"
        return self._find_at_rabbitmq(waiting)

    def _held_at(self) -> set[str]:
        """The living workers that have its message and do not run it."""
        held = {host for host, ids in self.observation.inspected.items() if self.history.uuid in ids}
        received = self.history.find("received")
        if held or not received:
            return held
        last, host = received[-1], received[-1]["host"]
        if any(line["at"] > last["at"] for line in self.history.find("start", "end", "fail", "revoked", "sent")):
            return set()
        is_shown = host in self.observation.inspected and self.history.uuid not in self.observation.moving
        if last["pid"] in self.observation.pids.get(host, ()) and (not is_shown or self.history.name in INVISIBLE):
            outages = [line for line in self.observation.ledger.faults if line["what"] == "broker_stopped"]
            # After an outage, the worker has dropped what it held.
            return set() if any(line["at"] > last["at"] for line in outages) else {host}
        return set()

    def _find_at_rabbitmq(self, waiting: set[Correct]) -> tuple[set[Correct], str]:
        """RabbitMQ cannot list the ids of a queue without taking them: what was sent and not taken is there, unless it
        expired, was purged, or was acknowledged before a process died."""
        sent = self.history.find("sent")
        if not sent:
            return set(), "gone"
        last = sent[-1]
        if any(line["at"] > last["at"] for line in self.history.find("start")) and not self.history.is_late:
            return set(), "gone"
        if self.ends and self.ends != {"REVOKED"}:
            return set(), "gone"  # it was acknowledged at its end
        if self.ends or _is_expired(last):
            return {("REVOKED", None)}, "expired"
        received_at = max((line["at"] for line in self.history.find("received")), default=0.0)
        for fault in self.observation.ledger.faults:
            lost = fault["what"] == "purged" and fault["queue"] == last["queue"]
            if lost and last["at"] < fault["at"] and received_at < fault["at"]:
                return set(), "gone"
        if not self.observation.broker.lengths.get(last["queue"], 0):
            return set(), "gone"  # a killed broker had not written it to its disk
        return waiting, "waits"


def _is_expired(sent: Mapping[str, Any]) -> bool:
    from datetime import UTC, datetime

    if not sent["expires"]:
        return False
    return datetime.fromisoformat(sent["expires"]) < datetime.now(UTC)
