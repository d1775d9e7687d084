"""What every answer says, what no request may exceed, and OPTIONS, which is the same for every path."""

import logging

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flower.api.context import Context
from flower.api.guards import cors_headers
from flower.api.parameters import MAX_BODY_SIZE
from flower.web.request_log import with_request_log
from flower.web.validators import ETagSender

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
