"""When workers are contacted besides inspections: when they are new, were restarted, became silent, or send no
heartbeats."""

import time
from collections.abc import Callable, Collection, Iterable
from typing import Final, NamedTuple

from flower.reconcile.cluster_view import ClusterView, WorkerProfile, last_sign
from flower.reconcile.findings import WorkersAnswer

#: Seconds after which the profile of a worker is requested again: always, and if tasks of it are examined (its rate
#: limits may have changed).
PROFILE_AGE: Final = 600.0
EXAMINED_PROFILE_AGE: Final = 60.0
#: Seconds between two requests to a worker that did not answer; doubled each time.
MIN_DELAY: Final = 5.0
MAX_DELAY: Final = 60.0
#: Seconds between the pings of a worker from which no event has come for two heartbeat intervals. The second answer
#: proves that it sends no heartbeats.
PING_INTERVALS: Final = (7.0, 30.0)


#: A worker that has been silent for longer, in seconds, is not pinged any more. Workers in containers have new names
#: after each start.
MAX_SILENCE: Final = 3600.0


class Checks(NamedTuple):
    """Workers to request profiles from, and workers to ping."""

    describe: frozenset[str] = frozenset()
    ping: frozenset[str] = frozenset()

    @property
    def has_any(self) -> bool:
        return bool(self.describe or self.ping)


class WorkerChecks:
    """The profiles of the workers, and when each is contacted next. For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.profiles: dict[str, WorkerProfile] = {}
        #: by worker: number of requests without an answer, and when the next one is due
        self._failures: dict[str, tuple[int, float]] = {}
        #: by worker: number of pings since its last event, and when the last one was sent
        self._pings: dict[str, tuple[int, float]] = {}

    def due(self, view: ClusterView, examined: Collection[str | None]) -> Checks:
        """The workers to contact now. `examined` are those whose tasks are examined."""
        describe, ping = set(), set()
        for name, worker in view.workers.items():
            if view.is_heard(name):
                self._pings.pop(name, None)
                if self._needs_profile(name, worker.pid, view.now, name in examined) and self._may_contact(name):
                    describe.add(name)
            elif worker.online and view.now - (last_sign(worker) or 0.0) < MAX_SILENCE and self._needs_ping(name):
                ping.add(name)
        return Checks(frozenset(describe), frozenset(ping - describe))

    def add_profiles(self, profiles: Iterable[WorkerProfile], requested: Collection[str]) -> None:
        answered = {profile.hostname: profile for profile in profiles}
        self.profiles |= answered
        for name in requested:
            self._note(name, is_answered=name in answered)

    def add_inspection(self, expected: Iterable[str], answer: WorkersAnswer) -> None:
        for name in expected:
            self._note(name, is_answered=name in answer.alive)

    def add_pings(self, names: Iterable[str]) -> None:
        for name in names:
            self._pings[name] = self._pings.get(name, (0, 0.0))[0] + 1, self._clock()

    def skipped(self) -> frozenset[str]:
        """Workers that have not answered several times, and are not contacted for a while."""
        return frozenset(
            name for name, (count, _) in self._failures.items() if count > 1 and not self._may_contact(name)
        )

    def _needs_profile(self, name: str, pid: int | None, now: float, is_examined: bool) -> bool:
        profile = self.profiles.get(name)
        if profile is None or (pid is not None and profile.pid is not None and pid != profile.pid):
            return True
        return now - profile.answered_at > (EXAMINED_PROFILE_AGE if is_examined else PROFILE_AGE)

    def _needs_ping(self, name: str) -> bool:
        count, pinged_at = self._pings.get(name, (0, 0.0))
        return count == 0 or self._clock() - pinged_at >= PING_INTERVALS[min(count, len(PING_INTERVALS)) - 1]

    def _may_contact(self, name: str) -> bool:
        return self._clock() >= self._failures.get(name, (0, 0.0))[1]

    def _note(self, name: str, *, is_answered: bool) -> None:
        if is_answered:
            self._failures.pop(name, None)
            return
        count = self._failures.get(name, (0, 0.0))[0] + 1
        self._failures[name] = count, self._clock() + min(MAX_DELAY, MIN_DELAY * 2.0 ** min(count - 1, 6))
