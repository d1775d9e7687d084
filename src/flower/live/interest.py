"""Which tasks a subscriber wants to hear of, and whether a task is one of them now."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from flower.live.source import Source
from flower.search.match import Predicate, predicate, uses_slow
from flower.store.answers import TimeKey

#: Seconds that the thresholds of `is:slow` are used before they are computed again.
SLOW_AGE: Final = 30.0
#: A query that means the same so many seconds later (a bit over a day) does not count from now.
_LATER: Final = 100_000.0


@dataclass(frozen=True, slots=True)
class Interest:
    """A query, its window, the columns that are told and how many characters of a text. Those who ask for the same
    share the work."""

    query: str = ""
    start: str = ""
    end: str = ""
    time: TimeKey = "received"
    tz: str = ""
    columns: tuple[str, ...] = ()
    text_limit: int = sys.maxsize

    @property
    def shape(self) -> tuple[object, ...]:
        """Of its rows."""
        return self.columns, self.text_limit


@dataclass(slots=True)
class _Made:
    holds: Predicate
    #: by the clock of `now`
    until: float


class Matchers:
    """The queries as functions of a task. `-1h` and `is:slow` mean something else as time goes by, so those are made
    anew."""

    def __init__(self) -> None:
        self._made: dict[Interest, _Made] = {}
        self._slow: Mapping[str, float] = {}
        self._slow_until = 0.0

    def matcher(self, source: Source, interest: Interest, now: float) -> Predicate:
        """Raises SearchError and Invalid."""
        found = self._made.get(interest)
        if found is None or now >= found.until:
            found = self._made[interest] = self._make(source, interest, now)
        return found.holds

    def _make(self, source: Source, interest: Interest, now: float) -> _Made:
        where = source.where(interest, now)
        counts_from_now = where != source.where(interest, now + _LATER)
        if not uses_slow(where):
            return _Made(predicate(where), now if counts_from_now else float("inf"))
        slow = self._thresholds(source, now)
        return _Made(predicate(where, slow), now if counts_from_now else self._slow_until)

    def _thresholds(self, source: Source, now: float) -> Mapping[str, float]:
        if now >= self._slow_until:
            self._slow = source.records.slow()
            self._slow_until = now + SLOW_AGE
        return self._slow

    def keep_only(self, interests: Iterable[Interest]) -> None:
        wanted = set(interests)
        for interest in self._made.keys() - wanted:
            del self._made[interest]
