"""The maximum number of connections, and which ones are closed when it is reached."""

from dataclasses import dataclass, field

import pytest

from flower.log_rate_limit import LogRateLimit
from flower.web import open_connections
from flower.web.open_connections import CHECK_PARTS, OpenConnections, max_connections


@dataclass(eq=False)
class FakeConnection:
    client_network: str = "10.0.0.1"
    since: float | None = 0.0
    in_request: bool = False
    is_trusted: bool = False
    unread: int = 0
    disconnected: bool = field(default=False, init=False)

    def waiting_since(self) -> tuple[bool, float] | None:
        return None if self.since is None else (self.in_request, self.since)

    def unread_bytes(self) -> int:
        return self.unread

    def check_time_limits(self, now: float) -> None: ...

    def disconnect(self) -> None:
        self.disconnected = True


def admit(maximum: int, *connections: FakeConnection) -> OpenConnections:
    opened = OpenConnections(maximum, lambda: 100.0)
    assert all(opened.admit(each) for each in connections)
    return opened


def check_all(opened: OpenConnections) -> None:
    for _ in range(2 * CHECK_PARTS):
        opened.check_time_limits()


@pytest.mark.parametrize(
    ("descriptors", "expected"), [(1, 1), (256, 128), (1024, 512), (4096, 3584), (1_048_576, 5000)]
)
def test_maximum_leaves_descriptors_for_files_and_brokers(descriptors: int, expected: int) -> None:
    assert max_connections(descriptors) == expected


def test_longest_idle_connection_is_closed_for_a_new_one() -> None:
    connections = [FakeConnection(since=float(second)) for second in (3, 1, 2)]
    opened = admit(3, *connections)
    assert opened.admit(FakeConnection())
    assert [each.disconnected for each in connections] == [False, True, False]
    assert len(opened) == 3


def test_connections_between_requests_are_closed_before_those_in_a_request() -> None:
    waiting, idle = FakeConnection(since=1, in_request=True), FakeConnection(since=90)
    opened = admit(2, waiting, idle)
    assert opened.admit(FakeConnection())
    assert (waiting.disconnected, idle.disconnected) == (False, True)


def test_connections_at_work_are_not_closed_and_new_ones_are_refused() -> None:
    opened = admit(2, FakeConnection(since=None), FakeConnection(since=None))
    assert not opened.admit(FakeConnection())
    assert len(opened) == 2


def test_address_with_most_connections_gives_way_although_others_are_idle_longer() -> None:
    user = FakeConnection("10.0.0.2", since=1)
    attacker = [FakeConnection("10.0.0.1", since=50.0 + number) for number in range(9)]
    opened = admit(10, user, *attacker)
    for _ in range(8):
        assert opened.admit(FakeConnection("10.0.0.3", since=99))
    assert not user.disconnected
    # Each of the three has its share.
    assert sum(not each.disconnected for each in attacker) <= 4


def test_one_address_may_use_all_connections_while_no_other_needs_them() -> None:
    """Behind a reverse proxy, all clients have the same address."""
    connections = [FakeConnection(since=None) for _ in range(10)]
    assert len(admit(10, *connections)) == 10


def test_connections_of_a_trusted_proxy_are_closed_last() -> None:
    proxy = [FakeConnection("10.0.0.1", since=1, is_trusted=True) for _ in range(8)]
    others = [FakeConnection("10.0.0.2", since=90), FakeConnection("10.0.0.3", since=90)]
    opened = admit(10, *proxy, *others)
    assert opened.admit(FakeConnection("10.0.0.4", since=99))
    assert opened.admit(FakeConnection("10.0.0.5"))
    assert all(each.disconnected for each in others)
    assert not any(each.disconnected for each in proxy)


def test_several_connections_are_closed_at_once() -> None:
    """Finding them costs more than closing them."""
    connections = [FakeConnection(since=float(number)) for number in range(1000)]
    opened = admit(1000, *connections)
    assert opened.admit(FakeConnection())
    assert sum(each.disconnected for each in connections) == 50


def test_one_log_line_states_that_the_maximum_was_reached(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_connections.log, "filters", [LogRateLimit()])
    opened = admit(100, *(FakeConnection() for _ in range(100)))
    for _ in range(1000):
        opened.admit(FakeConnection())
    assert [record.message for record in caplog.records] == [
        "The maximum of 100 connections was reached; the 5 that had been idle longest were closed"
    ]


def test_memory_of_unread_responses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_connections, "MAX_UNREAD_BYTES", 1000)
    reading = FakeConnection(since=None, unread=900)
    recent = FakeConnection(since=99, in_request=True, unread=900)
    stalled = [FakeConnection(since=10, in_request=True, unread=size) for size in (100, 700, 600)]
    opened = admit(10, reading, recent, *stalled)
    check_all(opened)
    assert [each.disconnected for each in (reading, recent, *stalled)] == [False, False, True, True, True]
    stalled[0].disconnected = False
    opened = admit(10, *stalled, FakeConnection(since=None, unread=200))
    check_all(opened)
    assert [each.disconnected for each in stalled] == [False, True, True]


def test_time_limits_are_checked_of_all_connections() -> None:
    class Ending(FakeConnection):
        def check_time_limits(self, now: float) -> None:
            opened.remove(self)
            self.disconnected = now == 100

    endings = [Ending(), Ending()]
    opened = admit(10, *endings)
    check_all(opened)
    assert all(each.disconnected for each in endings)
    assert len(opened) == 0


def test_each_check_closes_only_a_part_of_the_connections() -> None:
    """Requests would wait if thousands were closed at once."""

    class Ending(FakeConnection):
        def check_time_limits(self, now: float) -> None:
            opened.remove(self)

    opened = admit(1_000, *(Ending() for _ in range(1_000)))
    opened.check_time_limits()
    assert len(opened) == 900
