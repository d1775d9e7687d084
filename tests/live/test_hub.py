"""The hub of live streams: shared reads, limits, and errors of the store."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from flower.errors import StoreError
from flower.http.v1.stream import StoreStreamBackend
from flower.live import Hub, StreamFilter, Subscription, SubscriptionClosed
from flower.live import filters as filters_module
from flower.live.changes import PARTIAL_READ_SIZE, ChangeReader
from flower.live.filters import FilterCache
from flower.live.messages import MAX_POSITIONS, MessageBuilder, StreamRequest
from flower.live.subscription import MAX_TASKS_MESSAGE_INTERVAL, MIN_TASKS_MESSAGE_INTERVAL
from flower.records import Task
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch, Changes

T = TypeVar("T")


class CountingReader(MemoryReader):
    """Counts the reads of each task and of the change log."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.read: Counter[str] = Counter()
        self.change_reads = 0
        self.failing = False

    def task(self, uuid: str) -> Task | None:
        self.read[uuid] += 1
        return super().task(uuid)

    def changes(self, after: int) -> Changes:
        self.change_reads += 1
        if self.failing:
            raise StoreError("the disk is gone")
        return super().changes(after)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def reader(store: MemoryStore) -> CountingReader:
    return CountingReader(store)


def write(store: MemoryStore, *numbers: int, **fields: Any) -> None:
    tasks = [Task(uuid=f"task-{number}", **{"name": "shop.charge", "timestamp": float(number), **fields}) for number in numbers]  # fmt: skip  # noqa: E501
    MemoryWriter(store).write(Batch(new=tasks))


def test_a_task_is_read_once_for_all_subscribers(store: MemoryStore, reader: CountingReader) -> None:
    for number in range(5):
        write(store, number)
    queries = ("", "state:FAILURE", "name:shop")
    requests = [
        StreamRequest(position, StreamFilter(query, columns=("name",))) for position in (0, 2, 4) for query in queries
    ]
    head, messages = MessageBuilder().build(StoreStreamBackend(reader, reader), requests, time.time())
    assert head == 5
    assert messages.keys() == set(requests)
    assert set(reader.read.values()) == {1}
    assert reader.change_reads == 4  # the latest sequence number, and once for each position


def test_positions_are_served_in_turn(store: MemoryStore, reader: CountingReader) -> None:
    for number in range(30):
        write(store, number)
    requests = [StreamRequest(position, StreamFilter()) for position in range(20)]
    _, messages = MessageBuilder().build(StoreStreamBackend(reader, reader), requests, time.time())
    assert [request.position for request in messages] == list(range(MAX_POSITIONS))


def test_the_text_read_in_one_step_is_limited(
    store: MemoryStore, reader: CountingReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flower.live.changes.MAX_TEXT_LENGTH", 250)
    write(store, *range(20), result="x" * 100)
    changes = ChangeReader(reader).read_since(0)
    assert list(changes.tasks) == ["task-17", "task-18", "task-19"]
    assert (changes.changed, changes.omitted) == (20, 17)


def test_of_many_changes_the_newest_are_read(store: MemoryStore, reader: CountingReader) -> None:
    write(store, *range(3_000))
    changes = ChangeReader(reader).read_since(0)
    assert list(changes.tasks) == [f"task-{number}" for number in range(3_000 - PARTIAL_READ_SIZE, 3_000)]
    assert changes.omitted == 3_000 - PARTIAL_READ_SIZE


def test_only_filters_that_depend_on_the_time_are_compiled_again(
    reader: CountingReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []

    class LoggingBackend(StoreStreamBackend):
        def build_filter(self, stream_filter: StreamFilter, now: float) -> Any:
            compiled.append(stream_filter.query)
            return super().build_filter(stream_filter, now)

    backend, filters, now = LoggingBackend(reader, reader), FilterCache(), 1_800_000_000.0
    fixed, moving = StreamFilter("state:FAILURE"), StreamFilter("received:>-1h")
    task = Task(uuid="a", state="FAILURE", received=now - 1800)
    for later in (0.0, 1.0, 3600.0):
        assert filters.get_predicate(backend, fixed, now + later)(task)
        assert filters.get_predicate(backend, moving, now + later)(task) is (later < 1800)
    assert (compiled.count(fixed.query), compiled.count(moving.query)) == (2, 6)
    filters.retain([moving])
    filters.get_predicate(backend, fixed, now)
    assert compiled.count(fixed.query) == 4


def test_slow_thresholds_are_cached(store: MemoryStore, reader: CountingReader) -> None:
    write(store, *range(100), state="SUCCESS", runtime=0.1)
    backend, filters, now = StoreStreamBackend(reader, reader), FilterCache(), time.time()
    slow = StreamFilter("is:slow")
    task = Task(uuid="a", name="shop.charge", state="SUCCESS", runtime=5.0)
    matches = filters.get_predicate(backend, slow, now)
    assert matches(task)
    assert not matches(replace(task, runtime=0.1))
    assert filters.get_predicate(backend, slow, now + filters_module.SLOW_THRESHOLDS_TTL - 1) is matches
    assert filters.get_predicate(backend, slow, now + filters_module.SLOW_THRESHOLDS_TTL) is not matches


class ThreadBackend(StoreStreamBackend):
    async def run_in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.to_thread(function)


async def next_message(subscription: Subscription) -> bytes:
    async with asyncio.timeout(20):
        while not (message := await subscription.next_message(1.0)):
            pass
    return message


def test_a_store_error_is_logged_once_and_retried(
    store: MemoryStore, reader: CountingReader, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flower.live.hub.RETRY_DELAY", 0.01)

    async def subscribe() -> None:
        hub, subscription = Hub(), Subscription(0, StreamFilter(columns=("name",)))
        hub.subscribe(ThreadBackend(reader, reader), subscription)
        write(store, 1)
        assert b"task-1" in await next_message(subscription)
        reader.failing = True
        reads = reader.change_reads
        while reader.change_reads < reads + 5:
            assert await subscription.next_message(0.01) == b""
        reader.failing = False
        write(store, 2)
        assert b"task-2" in await next_message(subscription)
        hub.close("server stopping")
        with pytest.raises(SubscriptionClosed, match="server stopping"):
            await subscription.next_message(1.0)
        hub.unsubscribe(subscription)
        assert len(hub) == 0

    asyncio.run(subscribe())
    assert [record.message for record in caplog.records].count("Live updates failed: the disk is gone") == 1


def test_the_next_message_comes_later_after_many_changes() -> None:
    subscription = Subscription(0, StreamFilter())
    assert subscription.tasks_due_at < 0
    due = []
    for changed in (1, 20, 10_000):
        subscription.delay_tasks(100.0, changed)
        due.append(subscription.tasks_due_at - 100)
    assert due == pytest.approx([MIN_TASKS_MESSAGE_INTERVAL, 0.1, MAX_TASKS_MESSAGE_INTERVAL])
    assert Subscription(0, None).tasks_due_at == float("inf")


def test_a_change_that_was_too_early_is_sent_when_it_is_due(
    store: MemoryStore, reader: CountingReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without another write, and without waiting for the longest pause."""
    monkeypatch.setattr("flower.live.hub.MAX_PAUSE", 60.0)
    monkeypatch.setattr("flower.live.change_watch.POLL_INTERVAL", 60.0)

    async def subscribe() -> None:
        hub, subscription = Hub(), Subscription(0, StreamFilter(columns=("name",)))
        write(store, 1)
        write(store, *range(2, 30))
        backend = ThreadBackend(reader, reader)
        subscription.delay_tasks(time.monotonic(), 100)
        pending = asyncio.create_task(next_message(subscription))
        await asyncio.sleep(0)
        hub.subscribe(backend, subscription)
        assert b"task-29" in await pending
        hub.unsubscribe(subscription)

    asyncio.run(subscribe())


def test_the_status_is_sent_sooner_after_a_change(store: MemoryStore, reader: CountingReader) -> None:
    async def subscribe() -> list[int]:
        hub, subscription = Hub(), Subscription(0, None, wants_status=True)
        hub.subscribe(ThreadBackend(reader, reader), subscription)
        sequences = []
        for number in range(3):
            sequences.append(subscription.status_sequence)
            await next_message(subscription)
            write(store, number)
        hub.unsubscribe(subscription)
        return [*sequences, subscription.status_sequence]

    started = time.monotonic()
    assert asyncio.run(subscribe()) == [0, 0, 1, 2]
    assert time.monotonic() - started < 20


def test_a_message_at_the_moment_of_the_timeout_is_not_lost() -> None:
    async def subscribe() -> tuple[int, int]:
        subscription, received, sent = Subscription(0, None), 0, 0

        def send() -> None:
            nonlocal sent
            if subscription.is_ready:
                subscription.publish(b"x")
                sent += 1

        loop = asyncio.get_running_loop()
        for number in range(200):
            loop.call_later(0.001, send)
            message = await subscription.next_message(0.001)
            assert message in (b"", b"x"), number
            received += bool(message)
            await asyncio.sleep(0.001)
        return sent, received

    sent, received = asyncio.run(subscribe())
    assert sent == received > 0
