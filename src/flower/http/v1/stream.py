"""A live stream over HTTP: from the request until somebody has enough of it."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from flower.api.context import Context
from flower.errors import FlowerError, InvalidRequest
from flower.http.access_control import authorize
from flower.http.v1.params import StreamParams
from flower.http.v1.parsing import parse_parameters
from flower.http.v1.stream_backend import StoreStreamBackend, end_event, start_event, stream_filter, validate_stream
from flower.live import Hub, Subscription, SubscriptionClosed
from flower.live.sse import EVENT_STREAM_HEADERS, EVENT_STREAM_MEDIA_TYPE, KEEPALIVE_COMMENT

#: Seconds of silence after which we say that we are still here.
COMMENT_INTERVAL: Final = 15.0
#: Seconds between two looks whether who listens may still do so.
AUTH_CHECK_INTERVAL: Final = 3.0

#: No number of the change sequence has more digits.
_MAX_DIGITS: Final = 16


async def stream(request: Request, context: Context) -> Response:
    asked = parse_parameters(StreamParams, request.path_params, request.query_params.multi_items())
    source = StoreStreamBackend(context.recorded_reader, context.store)
    after = _start_position(request, asked)
    validate_stream(source, asked)
    headers = {"content-type": EVENT_STREAM_MEDIA_TYPE, **EVENT_STREAM_HEADERS}
    if request.method == "HEAD":
        return Response(headers=headers)
    hub = context.live
    position = await hub.position(source) if after is None else after
    topics = asked.topics
    subscription = Subscription(
        position, stream_filter(asked), wants_workers="workers" in topics, wants_status="status" in topics
    )
    hub.subscribe(source, subscription)
    seconds = float("inf") if asked.duration is UNSET else asked.duration
    return _EventStreamResponse(_stream_chunks(request, context, subscription, seconds), hub, subscription, headers)


def _start_position(request: Request, asked: StreamParams) -> int | None:
    """Where to go on. A browser that comes back asks the same address again, and says in a header how far it was."""
    last = request.headers.get("last-event-id", "").strip()
    if not last:
        return None if asked.after is UNSET else asked.after
    if not (last.isascii() and last.isdecimal() and len(last) <= _MAX_DIGITS):
        raise InvalidRequest("The header Last-Event-ID is not a number of the change sequence", hint="leave it out")
    return int(last)


@dataclass(slots=True)
class _Timer:
    """When to do what, in the seconds of `time.monotonic`."""

    end: float
    check: float
    comment: float

    def timeout(self) -> float:
        return min(self.end, self.check, self.comment) - time.monotonic()


async def _stream_chunks(
    request: Request, context: Context, subscription: Subscription, seconds: float
) -> AsyncIterator[bytes]:
    yield start_event(subscription.position, time.time())
    now = time.monotonic()
    clock = _Timer(now + seconds, now + AUTH_CHECK_INTERVAL, now + COMMENT_INTERVAL)
    try:
        while True:
            message = await subscription.next_message(clock.timeout())
            now = time.monotonic()
            if now >= clock.check:
                await _check_access(request, context)
                clock.check = now + AUTH_CHECK_INTERVAL
            if message:
                clock.comment = now + COMMENT_INTERVAL
                yield message
            elif now >= clock.comment:
                clock.comment = now + COMMENT_INTERVAL
                # with the number up to which nothing happened: the log does not reach back for ever
                yield b"id: %d\n%b" % (subscription.position, KEEPALIVE_COMMENT)
            if now >= clock.end:
                raise SubscriptionClosed("the time that was asked for is over")
    except SubscriptionClosed as ended:
        yield end_event(str(ended))


async def _check_access(request: Request, context: Context) -> None:
    """Raises Ended if who listens could not begin to listen now."""
    try:
        objected = await authorize(request, "own", "view", context)
    except FlowerError as error:
        raise SubscriptionClosed(f"the login cannot be checked: {error.message}") from error
    if objected is not None:
        raise SubscriptionClosed(f"the login has ended: {objected.message}")


class _EventStreamResponse(StreamingResponse):
    """Whatever ends it, nobody listens after it."""

    def __init__(
        self, pieces: AsyncIterator[bytes], hub: Hub, subscription: Subscription, headers: dict[str, str]
    ) -> None:
        super().__init__(pieces, headers=headers)
        self._hub = hub
        self._subscription = subscription

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.unsubscribe(self._subscription)
