"""News as a message to one subscriber: which of the touched tasks match, and which do not any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Final

from flower.live.interest import Interest, Matchers
from flower.live.news import News, NewsReader, newest
from flower.live.source import Source
from flower.live.wire import event
from flower.records import Task

#: Rows in a message, and bytes of them: what is beyond is counted.
ROWS: Final = 200
BYTES: Final = 1 << 20
#: Rows that are made at once, so that little is made in vain when they are huge.
_TOGETHER: Final = 50
#: Places in the log that are read from in one step. Whoever waits meanwhile is told more at once.
POSITIONS: Final = 8


@dataclass(frozen=True, slots=True)
class Ask:
    """From where on somebody wants to hear, and of what."""

    position: int
    interest: Interest


@dataclass(frozen=True, slots=True)
class Told:
    """How far the message goes; an empty one says that nothing happened."""

    sequence: int
    message: bytes


class Teller:
    """Makes the messages of a step; what two messages have in common is made once."""

    def __init__(self) -> None:
        self._matchers = Matchers()

    def tell(self, source: Source, asks: Sequence[Ask], now: float) -> tuple[int, dict[Ask, Told]]:
        """`asks` come in the order in which they are served: those that get no answer must ask again. With them, how
        far the change sequence has come. Raises StoreError."""
        head = newest(source.records)
        behind = [ask for ask in asks if ask.position != head]
        positions = list(dict.fromkeys(ask.position for ask in behind))[:POSITIONS]
        reader, rows = NewsReader(source.records), Rows(source)
        news = {position: reader.after(position) for position in positions}
        self._matchers.keep_only(ask.interest for ask in asks)
        told = {
            ask: self._told(source, ask, news[ask.position], rows, now)
            for ask in dict.fromkeys(behind)
            if ask.position in news
        }
        return head, told

    def _told(self, source: Source, ask: Ask, news: News, rows: "Rows", now: float) -> Told:
        if news.gap:
            data = source.encode({"sequence": news.sequence, "why": news.gap})
            return Told(news.sequence, event("reset", data, news.sequence))
        if not news.touched:
            return Told(news.sequence, b"")
        holds = self._matchers.matcher(source, ask.interest, now)
        matching: list[Task] = []
        gone: list[str] = []
        for uuid, task in news.tasks.items():
            if task is not None and holds(task):
                matching.append(task)
            else:
                gone.append(uuid)
        shown = rows.of(latest(matching), ask.interest)
        data = b'{"sequence":%d,"tasks":[%b],"gone":%b,"more":%d,"touched":%d,"unread":%d}' % (
            news.sequence,
            b",".join(shown),
            source.encode(gone),
            len(matching) - len(shown),
            news.touched,
            news.unread,
        )
        return Told(news.sequence, event("tasks", data, news.sequence))


class Rows:
    """Rows as JSON, each made once for a shape."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._made: dict[tuple[object, ...], dict[str, bytes]] = {}

    def of(self, tasks: Sequence[Task], interest: Interest) -> list[bytes]:
        """At most `BYTES` of them, but for the first one."""
        made = self._made.setdefault(interest.shape, {})
        shown: list[bytes] = []
        size = 0
        for start in range(0, len(tasks), _TOGETHER):
            some = tasks[start : start + _TOGETHER]
            new = [task for task in some if task.uuid not in made]
            made.update(zip((task.uuid for task in new), self._source.rows(new, interest), strict=True))
            for task in some:
                row = made[task.uuid]
                size += len(row)
                if shown and size > BYTES:
                    return shown
                shown.append(row)
        return shown


def latest(tasks: Sequence[Task]) -> list[Task]:
    """Those with the newest events, the newest first; of equal ones those that were written last."""
    return nlargest(ROWS, reversed(tasks), key=lambda task: task.timestamp or 0.0)
