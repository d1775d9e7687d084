"""Builds the message for one subscriber from a change set: tasks that match its filter, and ids of tasks that no longer
do."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Final

from flower.live.changes import ChangeReader, ChangeSet, read_latest_sequence
from flower.live.filters import FilterCache, StreamBackend, StreamFilter
from flower.live.sse import format_event
from flower.records import Task

#: Rows in a message, and their size in bytes; rows beyond these limits are only counted.
MAX_ROWS: Final = 200
MAX_ROW_BYTES: Final = 1 << 20
#: Rows that are encoded at a time, so that little work is wasted when rows are large.
_ROW_BATCH: Final = 50
#: Positions of the change log that are read in one step. Subscribers at other positions wait for the next step and then
#: receive more changes at once.
MAX_POSITIONS: Final = 8


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """The position after which changes are requested, and the filter."""

    position: int
    stream_filter: StreamFilter


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """`sequence` is the position after the message, `changed` the number of changed tasks. An empty message: no
    changes."""

    sequence: int
    message: bytes
    changed: int = 0


class MessageBuilder:
    """Builds the messages of one step; parts that several messages share are built once."""

    def __init__(self) -> None:
        self._filters = FilterCache()

    def build(
        self, backend: StreamBackend, requests: Sequence[StreamRequest], now: float
    ) -> tuple[int, dict[StreamRequest, StreamMessage]]:
        """The latest sequence number and the messages. `requests` are in order of priority; a request without a message
        must be repeated in the next step. Raises StoreError."""
        head = read_latest_sequence(backend.recorded_reader)
        behind = [request for request in requests if request.position != head]
        positions = list(dict.fromkeys(request.position for request in behind))[:MAX_POSITIONS]
        reader, rows = ChangeReader(backend.recorded_reader), RowCache(backend)
        changes = {position: reader.read_since(position) for position in positions}
        self._filters.retain(request.stream_filter for request in requests)
        messages = {
            request: self._build_message(backend, request, changes[request.position], rows, now)
            for request in dict.fromkeys(behind)
            if request.position in changes
        }
        return head, messages

    def _build_message(
        self, backend: StreamBackend, request: StreamRequest, changes: ChangeSet, rows: "RowCache", now: float
    ) -> StreamMessage:
        if changes.gap_reason:
            data = backend.encode_json({"sequence": changes.sequence, "reason": changes.gap_reason})
            return StreamMessage(changes.sequence, format_event("reset", data, changes.sequence))
        if not changes.changed:
            return StreamMessage(changes.sequence, b"")
        matches = self._filters.get_predicate(backend, request.stream_filter, now)
        matching: list[Task] = []
        removed: list[str] = []
        for uuid, task in changes.tasks.items():
            if task is not None and matches(task):
                matching.append(task)
            else:
                removed.append(uuid)
        shown = rows.get(select_latest(matching), request.stream_filter)
        data = b'{"sequence":%d,"tasks":[%b],"removed":%b,"more":%d,"changed":%d,"omitted":%d}' % (
            changes.sequence,
            b",".join(shown),
            backend.encode_json(removed),
            len(matching) - len(shown),
            changes.changed,
            changes.omitted,
        )
        return StreamMessage(changes.sequence, format_event("tasks", data, changes.sequence), changes.changed)


class RowCache:
    """Rows as JSON; each is encoded once for each row format."""

    def __init__(self, backend: StreamBackend) -> None:
        self._backend = backend
        self._rows: dict[tuple[object, ...], dict[str, bytes]] = {}

    def get(self, tasks: Sequence[Task], stream_filter: StreamFilter) -> list[bytes]:
        """The rows of these tasks; at most `MAX_ROW_BYTES`, but always the first row."""
        cached = self._rows.setdefault(stream_filter.row_format, {})
        shown: list[bytes] = []
        size = 0
        for start in range(0, len(tasks), _ROW_BATCH):
            batch = tasks[start : start + _ROW_BATCH]
            new = [task for task in batch if task.uuid not in cached]
            cached.update(zip((task.uuid for task in new), self._backend.encode_rows(new, stream_filter), strict=True))
            for task in batch:
                row = cached[task.uuid]
                size += len(row)
                if shown and size > MAX_ROW_BYTES:
                    return shown
                shown.append(row)
        return shown


def select_latest(tasks: Sequence[Task]) -> list[Task]:
    """The `MAX_ROWS` tasks with the newest events, newest first; of equal ones those written last."""
    return nlargest(MAX_ROWS, reversed(tasks), key=lambda task: task.timestamp or 0.0)
