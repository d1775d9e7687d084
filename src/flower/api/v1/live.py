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
from flower.api.guards import objection
from flower.api.v1.asked import Followed
from flower.api.v1.parsing import parse_parameters
from flower.api.v1.showing import Showing, bye, check, hello, interest_of
from flower.errors import FlowerError, Invalid
from flower.live import Ended, Hub, Subscription
from flower.live.wire import COMMENT, HEADERS, MEDIA_TYPE

#: Seconds of silence after which we say that we are still here.
COMMENT_AFTER: Final = 15.0
#: Seconds between two looks whether who listens may still do so.
CHECK_EVERY: Final = 3.0

#: No number of the change sequence has more digits.
_DIGITS: Final = 16


async def follow(request: Request, context: Context) -> Response:
    asked = parse_parameters(Followed, request.path_params, request.query_params.multi_items())
    source = Showing(context.records, context.store)
    after = _after(request, asked)
    check(source, asked)
    headers = {"content-type": MEDIA_TYPE, **HEADERS}
    if request.method == "HEAD":
        return Response(headers=headers)
    hub = context.live
    position = await hub.position(source) if after is None else after
    topics = asked.topics
    subscription = Subscription(position, interest_of(asked), workers="workers" in topics, status="status" in topics)
    hub.add(source, subscription)
    seconds = float("inf") if asked.seconds is UNSET else asked.seconds
    return _EventStream(_pieces(request, context, subscription, seconds), hub, subscription, headers)


def _after(request: Request, asked: Followed) -> int | None:
    """Where to go on. A browser that comes back asks the same address again, and says in a header how far it was."""
    last = request.headers.get("last-event-id", "").strip()
    if not last:
        return None if asked.after is UNSET else asked.after
    if not (last.isascii() and last.isdecimal() and len(last) <= _DIGITS):
        raise Invalid("The header Last-Event-ID is not a number of the change sequence", hint="leave it out")
    return int(last)


@dataclass(slots=True)
class _Clock:
    """When to do what, in the seconds of `time.monotonic`."""

    end: float
    check: float
    comment: float

    def patience(self) -> float:
        return min(self.end, self.check, self.comment) - time.monotonic()


async def _pieces(
    request: Request, context: Context, subscription: Subscription, seconds: float
) -> AsyncIterator[bytes]:
    yield hello(subscription.position, time.time())
    now = time.monotonic()
    clock = _Clock(now + seconds, now + CHECK_EVERY, now + COMMENT_AFTER)
    try:
        while True:
            message = await subscription.next(clock.patience())
            now = time.monotonic()
            if now >= clock.check:
                await _check(request, context)
                clock.check = now + CHECK_EVERY
            if message:
                clock.comment = now + COMMENT_AFTER
                yield message
            elif now >= clock.comment:
                clock.comment = now + COMMENT_AFTER
                # with the number up to which nothing happened: the log does not reach back for ever
                yield b"id: %d\n%b" % (subscription.position, COMMENT)
            if now >= clock.end:
                raise Ended("the time that was asked for is over")
    except Ended as ended:
        yield bye(str(ended))


async def _check(request: Request, context: Context) -> None:
    """Raises Ended if who listens could not begin to listen now."""
    try:
        objected = await objection(request, "own", "view", context)
    except FlowerError as error:
        raise Ended(f"the login cannot be checked: {error.message}") from error
    if objected is not None:
        raise Ended(f"the login has ended: {objected.message}")


class _EventStream(StreamingResponse):
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
            self._hub.remove(self._subscription)
