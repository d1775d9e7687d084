"""Route /stream: changes of tasks, workers and status as server-sent events."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from flower.api.format_task import format_tasks
from flower.api.json_encoder import dump_json
from flower.api.query_params import build_filter
from flower.api.thread_pool import run_in_thread
from flower.client_network import client_network
from flower.errors import FlowerError, InvalidRequest
from flower.http.access_control import authorize, client_address
from flower.http.v1.params import ColumnsParam, QueryParams, TextLimitParam
from flower.http.v1.route import RequestContext, Route
from flower.http.v1.schemas import StatusResponse, WorkerList, read_worker_rows
from flower.http.v1.system import read_status
from flower.http.v1.task_rows import DEFAULT_COLUMNS, MAX_TEXT_LIMIT, TaskRow, task_rows, validate_columns
from flower.live import Hub, StatusText, StreamFilter, Subscription, SubscriptionClosed
from flower.live.messages import MessageBuilder, StreamRequest
from flower.live.sse import EVENT_STREAM_HEADERS, EVENT_STREAM_MEDIA_TYPE, KEEPALIVE_COMMENT, format_event, format_retry
from flower.records import Task
from flower.search.matcher import compile_predicate
from flower.search.tree import Node
from flower.store.ledger import Ledger
from flower.store.protocols import Reader

T = TypeVar("T")

#: Seconds without a message after which a comment is sent, so that proxies keep the connection open.
COMMENT_INTERVAL: Final = 15.0
#: Seconds between two checks that the user is still authorized.
AUTH_CHECK_INTERVAL: Final = 3.0

#: No number of the change sequence has more digits.
_MAX_DIGITS: Final = 16

StreamTopic: TypeAlias = Literal["tasks", "workers", "status"]


class StreamParams(QueryParams, frozen=True, kw_only=True):
    columns: ColumnsParam = DEFAULT_COLUMNS
    text_limit: TextLimitParam = MAX_TEXT_LIMIT
    topics: Annotated[
        tuple[StreamTopic, ...], Meta(description="Topics of the events.", examples=["tasks,status"], min_length=1)
    ] = ("tasks", "workers", "status")
    after: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=2**53,
                description="Start after this number of the change sequence, the `sequence` or `id` of an event. The "
                "header `Last-Event-ID` has the same meaning and takes precedence. Default: only new changes.",
                examples=[1234],
            ),
        ]
        | UnsetType
    ) = UNSET
    duration: (
        Annotated[
            float,
            Meta(ge=0, le=86_400, description="Seconds after which the stream ends. Default: never.", examples=[60]),
        ]
        | UnsetType
    ) = UNSET


class StreamStart(msgspec.Struct, frozen=True):
    """The first event. The stream contains the changes after `sequence`."""

    sequence: int
    opened_at: float


class TaskChanges(msgspec.Struct, frozen=True):
    """At most four events per second. `tasks` are changed tasks that match the query, those with the newest events
    first, at most 200; `more` is the number of further ones. `removed` are changed tasks that do not match anymore or
    were deleted. `changed` is the number of all changed tasks, `omitted` the number that were not evaluated."""

    sequence: int
    tasks: tuple[TaskRow, ...]
    removed: tuple[str, ...]
    more: int
    changed: int
    omitted: int


class StreamReset(msgspec.Struct, frozen=True):
    """The changes are unknown: load everything again. The stream continues after `sequence`."""

    sequence: int
    reason: str


class StreamEnd(msgspec.Struct, frozen=True):
    """The last event."""

    reason: str


#: `workers` contains all workers first and then the changed ones; `status` is sent every two seconds.
STREAM_EVENTS: Mapping[str, type[msgspec.Struct]] = {
    "start": StreamStart,
    "tasks": TaskChanges,
    "workers": WorkerList,
    "status": StatusResponse,
    "reset": StreamReset,
    "end": StreamEnd,
}


@dataclass(frozen=True, slots=True)
class StoreStreamBackend:
    """`flower.live.StreamBackend` on a store. `recorded_reader` reads tasks as recorded, `reader` as displayed (after
    the `format_task` hook)."""

    recorded_reader: Reader
    reader: Reader
    ledger: Ledger | None = None

    async def run_in_thread(self, function: Callable[[], T]) -> T:
        return await run_in_thread(function)

    def build_filter(self, stream_filter: StreamFilter, now: float) -> Node:
        return build_filter(
            stream_filter.query,
            start=stream_filter.start,
            end=stream_filter.end,
            time=stream_filter.time,
            tz=stream_filter.tz,
            now=now,
        )

    def encode_rows(self, tasks: Sequence[Task], stream_filter: StreamFilter) -> Sequence[bytes]:
        displayed = tasks if self.recorded_reader is self.reader else format_tasks(self.reader, tasks)
        rows = task_rows(self.reader, displayed, stream_filter.columns, stream_filter.text_limit)
        return [dump_json(row) for row in rows]

    def encode_workers(self, now: float) -> Mapping[str, bytes]:
        return {row.name: dump_json(row) for row in read_worker_rows(self.recorded_reader, now)}

    def encode_status(self) -> StatusText:
        status = read_status(self.reader, self.ledger)
        recorder = status.recorder
        urgent = (
            status.recording,
            recorder.running,
            recorder.connected,
            recorder.error,
            recorder.interruption,
            status.store.damaged,
        )
        return StatusText((*urgent, tuple(gap.id for gap in status.gaps)), dump_json(status))

    def encode_json(self, value: Any) -> bytes:
        return dump_json(value)


async def stream_changes(ctx: RequestContext, params: StreamParams, body: None) -> Response:
    request = ctx.request
    assert request is not None
    backend = StoreStreamBackend(ctx.server.recorded_reader, ctx.store, ctx.server.ledger)
    position = _start_position(request, params)
    validate_stream(backend, params)
    headers = {"content-type": EVENT_STREAM_MEDIA_TYPE, **EVENT_STREAM_HEADERS}
    if request.method == "HEAD":
        return Response(headers=headers)
    hub = ctx.server.live
    subscription = Subscription(
        await hub.position(backend) if position is None else position,
        build_stream_filter(params),
        client=_stream_client(ctx, request),
        wants_workers="workers" in params.topics,
        wants_status="status" in params.topics,
    )
    hub.subscribe(backend, subscription)
    duration = float("inf") if params.duration is UNSET else params.duration
    return _EventStreamResponse(_stream_chunks(ctx, request, subscription, duration), hub, subscription, headers)


def _stream_client(ctx: RequestContext, request: Request) -> str:
    """What counts as one client: the user, or the address if no login is configured. Users of one proxy or NAT share an
    address, and a user can have many."""
    name = ctx.identity.name
    return f"user {name}" if name else f"address {client_network(client_address(request))}"


def _start_position(request: Request, params: StreamParams) -> int | None:
    """The number of the change sequence after which the stream starts. A browser that reconnects requests the same URL
    and sends the last number in the header."""
    last = request.headers.get("last-event-id", "").strip()
    if not last:
        return None if params.after is UNSET else params.after
    if not (last.isascii() and last.isdecimal() and len(last) <= _MAX_DIGITS):
        raise InvalidRequest("Invalid header Last-Event-ID: not a number of the change sequence", hint="omit it")
    return int(last)


@dataclass(slots=True)
class _Timer:
    """Deadlines on the clock of `time.monotonic`."""

    end: float
    check: float
    comment: float

    def timeout(self) -> float:
        return min(self.end, self.check, self.comment) - time.monotonic()


async def _stream_chunks(
    ctx: RequestContext, request: Request, subscription: Subscription, duration: float
) -> AsyncIterator[bytes]:
    yield start_event(subscription.position, time.time())
    now = time.monotonic()
    timer = _Timer(now + duration, now + AUTH_CHECK_INTERVAL, now + COMMENT_INTERVAL)
    try:
        while True:
            message = await subscription.next_message(timer.timeout())
            now = time.monotonic()
            if now >= timer.check:
                await _check_access(ctx, request)
                timer.check = now + AUTH_CHECK_INTERVAL
            if message:
                timer.comment = now + COMMENT_INTERVAL
                yield message
            elif now >= timer.comment:
                timer.comment = now + COMMENT_INTERVAL
                # With the position: a client that reconnects later may be beyond the reach of the change log.
                yield b"id: %d\n%b" % (subscription.position, KEEPALIVE_COMMENT)
            if now >= timer.end:
                raise SubscriptionClosed("the requested duration is over")
    except SubscriptionClosed as closed:
        yield end_event(str(closed))


async def _check_access(ctx: RequestContext, request: Request) -> None:
    """Raises SubscriptionClosed if the user is no longer authorized."""
    try:
        denial = await authorize(request, "v1", "view", ctx.server)
    except FlowerError as error:
        raise SubscriptionClosed(f"authorization failed: {error.message}") from error
    if denial is not None:
        raise SubscriptionClosed(f"the session has expired: {denial.message}")


class _EventStreamResponse(StreamingResponse):
    """A streaming response that ends the subscription in all cases."""

    def __init__(
        self, chunks: AsyncIterator[bytes], hub: Hub, subscription: Subscription, headers: dict[str, str]
    ) -> None:
        super().__init__(chunks, headers=headers)
        self._hub = hub
        self._subscription = subscription

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.unsubscribe(self._subscription)


def build_stream_filter(params: StreamParams) -> StreamFilter | None:
    """None if the stream has no tasks."""
    return _stream_filter(params) if "tasks" in params.topics else None


def _stream_filter(params: StreamParams) -> StreamFilter:
    return StreamFilter(
        params.query, params.start, params.end, params.time, params.tz, params.columns, params.text_limit
    )


def validate_stream(backend: StoreStreamBackend, params: StreamParams) -> None:
    """Raises SearchError and InvalidRequest, before the response starts."""
    compile_predicate(backend.build_filter(_stream_filter(params), time.time()))
    validate_columns(params.columns)


def start_event(position: int, opened_at: float) -> bytes:
    return format_retry() + format_event("start", dump_json(StreamStart(position, opened_at)), position)


def end_event(reason: str) -> bytes:
    return format_event("end", dump_json(StreamEnd(reason)))


def example_stream(store: Reader, params: StreamParams) -> Iterator[bytes]:
    """The first events of a stream, for the document."""
    now = dict(store.recorder_status()).get("at", 0.0)
    position, stream_filter = params.after or 0, build_stream_filter(params)
    yield start_event(position, now)
    if stream_filter is not None:
        request = StreamRequest(position, stream_filter)
        _, messages = MessageBuilder().build(StoreStreamBackend(store, store), [request], now)
        yield messages[request].message


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/stream", "streamChanges", "stream",
        "Stream changes of tasks, workers and status as server-sent events", stream_changes,
        params=StreamParams, media_types=(EVENT_STREAM_MEDIA_TYPE,), events=STREAM_EVENTS,
        example="stream?query=state:FAILURE&columns=name,state&topics=tasks&after=0",
    ),
)  # fmt: skip
