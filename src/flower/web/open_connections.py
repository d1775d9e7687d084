"""The open connections of all ports: their maximum number, who is disconnected when it is reached, and the check of
their time limits.

A client without a login must not be able to use up the descriptors. There is no fixed number of connections per
address: behind a reverse proxy or a NAT all users have the same one. Instead, when the maximum is reached, connections
that wait for their client are closed, those of addresses with more than an equal share first. So one address can use
all connections while no other needs them, and no address can exclude another."""

import logging
from collections import Counter
from collections.abc import Callable
from operator import itemgetter
from typing import Final, Protocol

from flower.log_rate_limit import limit_log_rate

log = logging.getLogger(__name__)
limit_log_rate(log)

#: Maximum number of connections, even if more descriptors are available: 2,000 idle ones use about 20 MB.
MAX_CONNECTIONS: Final = 5_000
#: Descriptors that are not used for connections: store files, log files, broker connections, child processes.
RESERVED_DESCRIPTORS: Final = 512
#: A lower maximum number of connections of a process is a warning.
LOW_MAX_CONNECTIONS: Final = 200
#: Maximum bytes of responses, over all connections, that clients have not read yet.
MAX_UNREAD_BYTES: Final = 128 * 1024 * 1024
#: Seconds without progress after which a client that does not read is disconnected if that maximum is exceeded.
UNREAD_TIMEOUT: Final = 10.0

#: Number of calls of `check_time_limits` that check all connections.
CHECK_PARTS: Final = 10

#: The fraction of the connections that is closed at once when the maximum is reached. Finding those that have waited
#: longest costs a few milliseconds, which must not be spent for every new connection.
_CLOSED_FRACTION: Final = 0.05


class Connection(Protocol):
    @property
    def client_network(self) -> str:
        """What counts as one client: see `flower.client_network`."""

    @property
    def is_trusted(self) -> bool:
        """Whether the client is a trusted proxy, whose connections are those of many users."""

    def waiting_since(self) -> tuple[bool, float] | None:
        """Since when the connection waits for its client, and whether a request is being processed. None while the
        server has to act, or sends a stream that the client reads."""

    def unread_bytes(self) -> int:
        """Bytes of the response that are in the memory of this process."""

    def check_time_limits(self, now: float) -> None:
        """Close the connection if the client has exceeded a time limit."""

    def disconnect(self) -> None:
        """Close the connection at once."""


class OpenConnections:
    def __init__(self, max_connections: int, clock: Callable[[], float]) -> None:
        self.max_connections = max_connections
        self._clock = clock
        #: in the order of their arrival
        self._open: dict[Connection, None] = {}
        #: the part of the connections that was checked last, and the unread bytes of the parts so far
        self._part = 0
        self._unread = 0

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection) -> bool:
        """Add a connection. If the maximum is reached, others are closed first. False if all others are in use: then
        the new one must be refused."""
        if len(self._open) >= self.max_connections and not self.make_room(connection):
            log.warning(
                "All %d connections are in use; new ones are refused. Raise the limit of open files, or limit the "
                "connections of each client in a reverse proxy",
                self.max_connections,
            )
            return False
        self._open[connection] = None
        return True

    def remove(self, connection: Connection) -> None:
        self._open.pop(connection, None)

    def make_room(self, newest: Connection | None = None) -> bool:
        """Close the connections that wait for their client. Returns False if there is none."""
        counts = Counter(each.client_network for each in self._open)
        if newest is not None:
            counts[newest.client_network] += 1
        share = self.max_connections / max(1, len(counts))
        waiting: list[tuple[tuple[bool, bool, bool, float], Connection]] = []
        for each in self._open:
            if (since := each.waiting_since()) is not None:
                waiting.append(((each.is_trusted, counts[each.client_network] <= share, *since), each))
        waiting.sort(key=itemgetter(0))
        closed = waiting[: max(1, int(self.max_connections * _CLOSED_FRACTION))]
        for _, connection in closed:
            connection.disconnect()
            self._open.pop(connection, None)
        if closed:
            log.warning(
                "The maximum of %d connections was reached; the %d that had been idle longest were closed",
                self.max_connections,
                len(closed),
            )
        return bool(closed)

    def check_time_limits(self) -> None:
        """Close connections whose clients are too slow or hold too much memory. Called ten times per second; each call
        checks a tenth of the connections, so that requests do not wait while thousands are closed at once."""
        now = self._clock()
        self._part = (self._part + 1) % CHECK_PARTS
        for connection in list(self._open)[self._part :: CHECK_PARTS]:
            connection.check_time_limits(now)
            self._unread += connection.unread_bytes()
        if self._part == 0:
            if self._unread > MAX_UNREAD_BYTES:
                self._close_unread(now, self._unread)
            self._unread = 0

    def _close_unread(self, now: float, unread: int) -> None:
        """Close connections whose clients do not read, those with most data first."""
        stalled = [each for each in self._open if (since := each.waiting_since()) and now - since[1] >= UNREAD_TIMEOUT]
        closed = 0
        for connection in sorted(stalled, key=lambda each: each.unread_bytes(), reverse=True):
            if unread <= MAX_UNREAD_BYTES:
                break
            unread -= connection.unread_bytes()
            connection.disconnect()
            closed += 1
        if closed:
            log.warning(
                "Responses of more than %d MB were not read; %d clients were disconnected",
                MAX_UNREAD_BYTES >> 20,
                closed,
            )


def max_connections(descriptor_limit: int) -> int:
    """The maximum number of connections of a process that may open this many descriptors."""
    reserved = min(RESERVED_DESCRIPTORS, descriptor_limit // 2)
    return max(1, min(MAX_CONNECTIONS, descriptor_limit - reserved))
