"""The room that follows the store: what is read once, what is left out, and what happens when the store fails."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from flower.errors import StoreError
from flower.http.v1.stream_backend import StoreStreamBackend
from flower.live import Hub, StreamFilter, Subscription, SubscriptionClosed
from flower.live import filters as interests
from flower.live.changes import PARTIAL_READ_SIZE, ChangeReader
from flower.live.filters import FilterCache
from flower.live.messages import MAX_POSITIONS, MessageBuilder, StreamRequest
from flower.records import Task
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch, Changes

T = TypeVar("T")


class Counting(MemoryReader):
    """Counts how often each task is read, and how often the log is."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.read: Counter[str] = Counter()
        self.looks = 0
        self.failing = False

    def task(self, uuid: str) -> Task | None:
        self.read[uuid] += 1
        return super().task(uuid)

    def changes(self, after: int) -> Changes:
        self.looks += 1
        if self.failing:
            raise StoreError("the disk is gone")
        return super().changes(after)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def reader(store: MemoryStore) -> Counting:
    return Counting(store)


def write(store: MemoryStore, *numbers: int, **fields: Any) -> None:
    tasks = [Task(uuid=f"task-{number}", **{"name": "shop.charge", "timestamp": float(number), **fields}) for number in numbers]  # fmt: skip  # noqa: E501
    MemoryWriter(store).write(Batch(new=tasks))


def test_a_task_is_read_once_for_all_who_listen(store: MemoryStore, reader: Counting) -> None:
    for number in range(5):
        write(store, number)
    queries = ("", "state:FAILURE", "name:shop")
    asks = [
        StreamRequest(position, StreamFilter(query, columns=("name",))) for position in (0, 2, 4) for query in queries
    ]
    head, told = MessageBuilder().build(StoreStreamBackend(reader, reader), asks, time.time())
    assert head == 5
    assert told.keys() == set(asks)
    assert set(reader.read.values()) == {1}
    assert reader.looks == 4  # how far it is, and once for each position


def test_positions_are_served_in_turn(store: MemoryStore, reader: Counting) -> None:
    for number in range(30):
        write(store, number)
    asks = [StreamRequest(position, StreamFilter()) for position in range(20)]
    _, told = MessageBuilder().build(StoreStreamBackend(reader, reader), asks, time.time())
    assert [ask.position for ask in told] == list(range(MAX_POSITIONS))


def test_texts_that_are_read_in_one_step_are_bounded(
    store: MemoryStore, reader: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flower.live.changes.MAX_TEXT_LENGTH", 250)
    write(store, *range(20), result="x" * 100)
    news = ChangeReader(reader).read_since(0)
    assert list(news.tasks) == ["task-17", "task-18", "task-19"]
    assert (news.changed, news.omitted) == (20, 17)


def test_of_too_many_the_newest_are_read(store: MemoryStore, reader: Counting) -> None:
    write(store, *range(3_000))
    news = ChangeReader(reader).read_since(0)
    assert list(news.tasks) == [f"task-{number}" for number in range(3_000 - PARTIAL_READ_SIZE, 3_000)]
    assert news.omitted == 3_000 - PARTIAL_READ_SIZE


def test_what_counts_from_now_is_made_anew_and_nothing_else(reader: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    class Noting(StoreStreamBackend):
        def where(self, interest: StreamFilter, now: float) -> Any:
            made.append(interest.query)
            return super().build_filter(interest, now)

    source, matchers, now = Noting(reader, reader), FilterCache(), 1_800_000_000.0
    fixed, moving = StreamFilter("state:FAILURE"), StreamFilter("received:>-1h")
    task = Task(uuid="a", state="FAILURE", received=now - 1800)
    for later in (0.0, 1.0, 3600.0):
        assert matchers.get_predicate(source, fixed, now + later)(task)
        assert matchers.get_predicate(source, moving, now + later)(task) is (later < 1800)
    assert (made.count(fixed.query), made.count(moving.query)) == (2, 6)
    matchers.retain([moving])
    matchers.get_predicate(source, fixed, now)
    assert made.count(fixed.query) == 4


def test_thresholds_of_slow_are_used_for_a_while(store: MemoryStore, reader: Counting) -> None:
    write(store, *range(100), state="SUCCESS", runtime=0.1)
    source, matchers, now = StoreStreamBackend(reader, reader), FilterCache(), time.time()
    slow = StreamFilter("is:slow")
    task = Task(uuid="a", name="shop.charge", state="SUCCESS", runtime=5.0)
    holds = matchers.get_predicate(source, slow, now)
    assert holds(task)
    assert not holds(replace(task, runtime=0.1))
    assert matchers.get_predicate(source, slow, now + interests.SLOW_THRESHOLDS_TTL - 1) is holds
    assert matchers.get_predicate(source, slow, now + interests.SLOW_THRESHOLDS_TTL) is not holds


class Direct(StoreStreamBackend):
    async def read(self, look: Callable[[], T]) -> T:
        return await asyncio.to_thread(look)


async def told(subscription: Subscription) -> bytes:
    async with asyncio.timeout(20):
        while not (message := await subscription.next_message(1.0)):
            pass
    return message


def test_a_store_that_fails_is_said_once_and_tried_again(
    store: MemoryStore, reader: Counting, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flower.live.hub.RETRY_DELAY", 0.01)

    async def listen() -> None:
        hub, subscription = Hub(), Subscription(0, StreamFilter(columns=("name",)))
        hub.subscribe(Direct(reader, reader), subscription)
        write(store, 1)
        assert b"task-1" in await told(subscription)
        reader.failing = True
        looks = reader.looks
        while reader.looks < looks + 5:
            assert await subscription.next_message(0.01) == b""
        reader.failing = False
        write(store, 2)
        assert b"task-2" in await told(subscription)
        hub.close("that is all")
        with pytest.raises(SubscriptionClosed, match="that is all"):
            await subscription.next_message(1.0)
        hub.unsubscribe(subscription)
        assert len(hub) == 0

    asyncio.run(listen())
    assert [record.message for record in caplog.records].count(
        "Live pages are not told of changes: the disk is gone"
    ) == 1


def test_a_message_is_not_lost_when_patience_ends_as_it_comes() -> None:
    async def listen() -> tuple[int, int]:
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

    sent, received = asyncio.run(listen())
    assert sent == received > 0
