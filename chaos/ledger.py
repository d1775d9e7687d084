"""Ledger of a run: every process that sends or runs tasks appends to a file of its own, from Celery's signals.

Events are not used, because they are what is tested. Times are those of the monotonic clock of the machine, which all
processes share and which the changed clock of a worker does not affect. A line is written with one `write` to a file
opened for appending, so it survives kill -9 of its process."""

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery import signals

#: Tasks of other applications in the same process are not recorded.
PREFIX = "chaos."


def read_clock() -> float:
    """Seconds of the clock that all processes of the machine share."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


class LedgerWriter:
    """Appends one JSON object per line. A forked child opens a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pid = 0
        self._file = -1

    def write(self, what: str, **values: Any) -> None:
        pid = os.getpid()
        if pid != self._pid:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._folder / f"{pid}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            self._pid = pid
        line = json.dumps({"what": what, "at": read_clock(), "pid": pid, **values})
        os.write(self._file, line.encode() + b"\n")


def connect_signals(writer: LedgerWriter) -> None:
    """Record what this process sends, receives and runs from now on."""

    def before_publish(sender: str, headers: Mapping[str, Any], **_: Any) -> None:
        if sender.startswith(PREFIX):
            writer.write("publish", id=headers["id"])

    def after_publish(sender: str, headers: Mapping[str, Any], routing_key: str, **_: Any) -> None:
        if sender.startswith(PREFIX):
            writer.write(
                "sent",
                id=headers["id"],
                name=sender,
                queue=routing_key,
                retries=headers.get("retries") or 0,
                eta=bool(headers.get("eta")),
                expires=headers.get("expires"),
            )

    def received(sender: Any, request: Any, **_: Any) -> None:
        if request.name.startswith(PREFIX):
            writer.write("received", id=request.id, host=sender.hostname, eta=bool(request.eta))

    def started(task_id: str, task: Any, **_: Any) -> None:
        if task.name.startswith(PREFIX):
            writer.write("start", id=task_id, host=task.request.hostname, retries=task.request.retries or 0)

    def ended(task_id: str, task: Any, state: str | None, **_: Any) -> None:
        if task.name.startswith(PREFIX):
            writer.write("end", id=task_id, host=task.request.hostname, state=state)

    def failed(sender: Any, task_id: str, **_: Any) -> None:
        if sender.name.startswith(PREFIX):
            writer.write("fail", id=task_id)

    def revoked(sender: Any, request: Any, terminated: bool, expired: bool, **_: Any) -> None:
        if sender.name.startswith(PREFIX):
            writer.write("revoked", id=request.id, terminated=bool(terminated), expired=bool(expired))

    for signal, handler in (
        (signals.before_task_publish, before_publish),
        (signals.after_task_publish, after_publish),
        (signals.task_received, received),
        (signals.task_prerun, started),
        (signals.task_postrun, ended),
        (signals.task_failure, failed),
        (signals.task_revoked, revoked),
    ):
        signal.connect(handler, weak=False)


@dataclass(slots=True)
class TaskHistory:
    """All that the ledgers contain about one task, in order of time."""

    uuid: str
    lines: list[dict[str, Any]] = field(default_factory=list)

    def __str__(self) -> str:
        """The lines, with the seconds of the ledger's clock."""
        lines = [line for line in self.lines if line["what"] != "publish"]
        parts = [(line["what"], f"{line['at']:.1f}", line.get("host"), line.get("state")) for line in lines]
        return ", ".join(" ".join(filter(None, part)) for part in parts)

    def find(self, *what: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["what"] in what]

    @property
    def name(self) -> str:
        return next((line["name"] for line in self.find("sent")), "")

    @property
    def began_at(self) -> float:
        return float(self.lines[0]["at"])

    @property
    def queue(self) -> str | None:
        """The queue of the last message."""
        sent = self.find("sent")
        return sent[-1]["queue"] if sent else None

    @property
    def is_late(self) -> bool:
        """Whether the worker acknowledges the message at the end of the task."""
        return self.name.endswith("_late")


@dataclass(slots=True)
class Ledger:
    tasks: dict[str, TaskHistory]
    #: lines about no task: faults
    faults: list[dict[str, Any]]


def read_ledger(folder: Path) -> Ledger:
    tasks: defaultdict[str, TaskHistory] = defaultdict(lambda: TaskHistory(""))
    faults = []
    for line in sorted(_lines(folder), key=lambda line: float(line["at"])):
        if uuid := line.get("id"):
            history = tasks[uuid]
            history.uuid = uuid
            history.lines.append(line)
        else:
            faults.append(line)
    return Ledger(dict(tasks), faults)


def _lines(folder: Path) -> Iterator[dict[str, Any]]:
    for path in folder.glob("*.jsonl"):
        for text in path.read_bytes().splitlines():
            try:
                yield json.loads(text)
            except ValueError:  # the last line of a process that was killed
                continue
