"""News as a message to one subscriber: which of the touched tasks match, and which do not any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Final

from flower.live.changes import ChangeReader, ChangeSet, read_latest_sequence
from flower.live.filters import FilterCache, StreamBackend, StreamFilter
from flower.live.sse import format_event
from flower.records import Task

#: Rows in a message, and bytes of them: what is beyond is counted.
MAX_ROWS: Final = 200
MAX_ROW_BYTES: Final = 1 << 20
#: Rows that are made at once, so that little is made in vain when they are huge.
_ROW_BATCH: Final = 50
#: Places in the log that are read from in one step. Whoever waits meanwhile is told more at once.
MAX_POSITIONS: Final = 8


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """From where on somebody wants to hear, and of what."""

    position: int
    stream_filter: StreamFilter


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """How far the message goes; an empty one says that nothing happened."""

    sequence: int
    message: bytes


class MessageBuilder:
    """Makes the messages of a step; what two messages have in common is made once."""

    def __init__(self) -> None:
        self._filters = FilterCache()

    def build(
        self, source: StreamBackend, requests: Sequence[StreamRequest], now: float
    ) -> tuple[int, dict[StreamRequest, StreamMessage]]:
        """`asks` come in the order in which they are served: those that get no answer must ask again. With them, how
        far the change sequence has come. Raises StoreError."""
        head = read_latest_sequence(source.recorded_reader)
        behind = [ask for ask in requests if ask.position != head]
        positions = list(dict.fromkeys(ask.position for ask in behind))[:MAX_POSITIONS]
        reader, rows = ChangeReader(source.recorded_reader), RowCache(source)
        news = {position: reader.read_since(position) for position in positions}
        self._filters.retain(ask.stream_filter for ask in requests)
        told = {
            ask: self._build_message(source, ask, news[ask.position], rows, now)
            for ask in dict.fromkeys(behind)
            if ask.position in news
        }
        return head, told

    def _build_message(
        self, source: StreamBackend, ask: StreamRequest, news: ChangeSet, rows: "RowCache", now: float
    ) -> StreamMessage:
        if news.gap_reason:
            data = source.encode_json({"sequence": news.sequence, "why": news.gap_reason})
            return StreamMessage(news.sequence, format_event("reset", data, news.sequence))
        if not news.changed:
            return StreamMessage(news.sequence, b"")
        holds = self._filters.get_predicate(source, ask.stream_filter, now)
        matching: list[Task] = []
        gone: list[str] = []
        for uuid, task in news.tasks.items():
            if task is not None and holds(task):
                matching.append(task)
            else:
                gone.append(uuid)
        shown = rows.get(select_latest(matching), ask.stream_filter)
        data = b'{"sequence":%d,"tasks":[%b],"gone":%b,"more":%d,"touched":%d,"unread":%d}' % (
            news.sequence,
            b",".join(shown),
            source.encode_json(gone),
            len(matching) - len(shown),
            news.changed,
            news.omitted,
        )
        return StreamMessage(news.sequence, format_event("tasks", data, news.sequence))


class RowCache:
    """Rows as JSON, each made once for a shape."""

    def __init__(self, source: StreamBackend) -> None:
        self._source = source
        self._rows: dict[tuple[object, ...], dict[str, bytes]] = {}

    def get(self, tasks: Sequence[Task], interest: StreamFilter) -> list[bytes]:
        """At most `BYTES` of them, but for the first one."""
        made = self._rows.setdefault(interest.row_format, {})
        shown: list[bytes] = []
        size = 0
        for start in range(0, len(tasks), _ROW_BATCH):
            some = tasks[start : start + _ROW_BATCH]
            new = [task for task in some if task.uuid not in made]
            made.update(zip((task.uuid for task in new), self._source.encode_rows(new, interest), strict=True))
            for task in some:
                row = made[task.uuid]
                size += len(row)
                if shown and size > MAX_ROW_BYTES:
                    return shown
                shown.append(row)
        return shown


def select_latest(tasks: Sequence[Task]) -> list[Task]:
    """Those with the newest events, the newest first; of equal ones those that were written last."""
    return nlargest(MAX_ROWS, reversed(tasks), key=lambda task: task.timestamp or 0.0)
