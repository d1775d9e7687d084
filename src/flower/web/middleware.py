"""ETag and If-None-Match: a client that has an answer already is told so, instead of being sent it again.

What every answer says, what no request may exceed, and OPTIONS, which is the same for every path."""

import hashlib
import logging
from typing import Final

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flower.api.context import Context
from flower.http.access_control import cors_headers
from flower.http.request_params import MAX_BODY_SIZE
from flower.web.request_log import with_request_log

#: Bytes of a body that are hashed at once (about a millisecond); more of them in a thread.
_MAX_INLINE_HASH: Final = 1 << 20

#: What speaks of the body of an answer that is sent without one.
_BODY_HEADERS: Final = ("content-type", "content-length", "content-encoding")


class ETagSender:
    """Sends an answer to a GET or HEAD on. Bodies that come in one piece, with status 200, get a validator; those that
    are streamed are not held back for one."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._if_none_match = Headers(scope=scope).get("if-none-match", "")
        self._is_head = scope["method"] == "HEAD"
        self._send = send
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] == 200 and "etag" not in Headers(raw=message["headers"]):
                self._start = message
                return
        elif self._start is not None:
            start, self._start = self._start, None
            body = message.get("body", b"")
            headers = MutableHeaders(raw=start["headers"])
            if self._is_head and not body:
                del headers["content-length"]  # of an answer that nobody has made, only to count it
            elif body and not message.get("more_body", False):
                headers["etag"] = tag = await _compute_etag(body)
                if _matches_etag(self._if_none_match, tag):
                    for name in _BODY_HEADERS:
                        del headers[name]
                    start, message = {**start, "status": 304}, {**message, "body": b""}
            await self._send(start)
        await self._send(message)


async def _compute_etag(body: bytes) -> str:
    return await to_thread.run_sync(_hash_body, body) if len(body) > _MAX_INLINE_HASH else _hash_body(body)


def _hash_body(body: bytes) -> str:
    return f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'


def _matches_etag(asked: str, tag: str) -> bool:
    tags = [each.strip().removeprefix("W/") for each in asked.split(",")]
    return "*" in tags or tag in tags


log = logging.getLogger(__name__)

#: Pages load nothing from elsewhere, run no inline script and are shown in no frame of another site.
PAGE_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none'; frame-ancestors 'none'"


class SecurityHeadersMiddleware:
    """Around everything, so that an answer to an error of ours has them too."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(MutableHeaders(scope=message))
            await send(message)

        answer: Send = send_with_headers
        if self._context.debug:
            answer = with_request_log(scope, answer)
        if scope["method"] == "OPTIONS":
            await answer({"type": "http.response.start", "status": 204, "headers": []})
            await answer({"type": "http.response.body", "body": b""})
            return
        if scope["method"] in ("GET", "HEAD"):
            answer = ETagSender(scope, answer)
        try:
            await self._app(scope, _limit_body(receive), answer)
        except Exception:
            # Answered already (see `application`). The server would only log it and break the connection, which
            # fails a request that comes after it on the same one.
            log.exception("An error of ours: %s", scope["path"].encode("unicode_escape").decode())

    def _add_headers(self, headers: MutableHeaders) -> None:
        headers["server"] = "Bellflower"
        headers["x-content-type-options"] = "nosniff"
        if headers.get("content-type", "").startswith("text/html"):
            headers.setdefault("content-security-policy", PAGE_POLICY)
            headers["referrer-policy"] = "same-origin"
        for name, value in cors_headers(self._context).items():
            headers[name] = value


def _limit_body(receive: Receive) -> Receive:
    """No body is read beyond the limit, whatever reads it: forms, JSON, or a handler of its own."""
    size = 0

    async def receive_within_limit() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_SIZE:
            raise HTTPException(413)
        return message

    return receive_within_limit
