"""ASGI middleware: security and CORS headers, ETags, the limit of request bodies, and OPTIONS."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flower.api.context import Context
from flower.http.access_control import cors_headers
from flower.http.request_params import MAX_BODY_KEY, MAX_BODY_SIZE
from flower.http.responses import NO_CONTENT, NOT_MODIFIED, OK, content_too_large, too_many_bodies
from flower.log_rate_limit import limit_log_rate
from flower.web.request_log import with_request_log

#: Internal errors that are logged per minute, with their tracebacks.
MAX_ERRORS_PER_MINUTE: Final = 20

log = logging.getLogger(__name__)
limit_log_rate(log, burst=MAX_ERRORS_PER_MINUTE, tracebacks=True)

#: Pages load nothing from other origins, run no inline scripts and are not displayed in frames of other sites.
PAGE_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none'; frame-ancestors 'none'"

#: Maximum bytes of the bodies of all requests in progress.
MAX_TOTAL_BODIES: Final = 256 * 1024 * 1024

#: Larger bodies are hashed in a worker thread; this many bytes take about a millisecond.
_MAX_INLINE_HASH: Final = 1 << 20

#: Headers that a response without a body must not have.
_BODY_HEADERS: Final = ("content-type", "content-length", "content-encoding")


class SecurityHeadersMiddleware:
    """The outermost middleware, so that error responses have the headers too."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context
        self._static_paths = (f"{context.root_path}/static/", f"{context.root_path}/favicon.ico")
        self._bodies = BodyLimits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        is_static = scope["path"].startswith(self._static_paths)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                self._add_headers(headers)
                if not is_static:
                    # Arguments and results of tasks must not remain in the cache of a browser after a sign-out.
                    headers["cache-control"] = "no-store"
            await send(message)

        sender: Send = send_with_headers
        if self._context.debug:
            sender = with_request_log(scope, sender)
        if scope["method"] == "OPTIONS":
            await sender({"type": "http.response.start", "status": NO_CONTENT, "headers": []})
            await sender({"type": "http.response.body", "body": b""})
            return
        if scope["method"] in ("GET", "HEAD"):
            sender = ETagSender(scope, sender)
        try:
            with self._bodies.limit(receive, scope) as limited:
                await self._app(scope, limited, sender)
        except ClientDisconnect:
            pass  # the client sent only a part of the body
        except Exception:
            # `application` has sent a response already. Re-raised, it would close the connection and fail the next
            # request on it.
            log.exception("Internal error: %s", scope["path"].encode("unicode_escape").decode())

    def _add_headers(self, headers: MutableHeaders) -> None:
        headers["server"] = "Bellflower"
        headers["x-content-type-options"] = "nosniff"
        if headers.get("content-type", "").startswith("text/html"):
            headers.setdefault("content-security-policy", PAGE_POLICY)
            headers["referrer-policy"] = "same-origin"
        for name, value in cors_headers(self._context).items():
            headers[name] = value


class ETagSender:
    """Adds an ETag to responses of GET and HEAD with status 200 and a complete body, and replaces them by status 304 if
    the client has the same ETag. Streaming responses are passed on unchanged."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._if_none_match = Headers(scope=scope).get("if-none-match", "")
        self._is_head = scope["method"] == "HEAD"
        self._send = send
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] == OK and "etag" not in Headers(raw=message["headers"]):
                self._start = message
                return
        elif self._start is not None:
            start, self._start = self._start, None
            body = message.get("body", b"")
            headers = MutableHeaders(raw=start["headers"])
            if self._is_head and not body:
                del headers["content-length"]  # the endpoint has not built the body
            elif body and not message.get("more_body", False):
                headers["etag"] = tag = await _compute_etag(body)
                if _matches_etag(self._if_none_match, tag):
                    for name in _BODY_HEADERS:
                        del headers[name]
                    start, message = {**start, "status": NOT_MODIFIED}, {**message, "body": b""}
            await self._send(start)
        await self._send(message)


async def _compute_etag(body: bytes) -> str:
    return await to_thread.run_sync(_hash_body, body) if len(body) > _MAX_INLINE_HASH else _hash_body(body)


def _hash_body(body: bytes) -> str:
    return f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'


def _matches_etag(if_none_match: str, tag: str) -> bool:
    tags = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return "*" in tags or tag in tags


class BodyLimits:
    """Limits the body of each request, and those of all requests in progress together, for every consumer: a form,
    JSON or an endpoint. Many large bodies at the same time would otherwise use up the memory."""

    def __init__(self) -> None:
        self._total = 0

    @contextmanager
    def limit(self, receive: Receive, scope: Scope) -> Iterator[Receive]:
        size = 0

        async def receive_within_limits() -> Message:
            nonlocal size
            message = await receive()
            received = len(message.get("body", b""))
            size += received
            self._total += received
            if size > scope.get(MAX_BODY_KEY, MAX_BODY_SIZE):
                raise content_too_large()
            if self._total > MAX_TOTAL_BODIES:
                raise too_many_bodies()
            return message

        try:
            yield receive_within_limits
        finally:
            self._total -= size
