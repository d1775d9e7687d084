"""What every answer says, and OPTIONS, which is the same for every path."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flower.api.context import Context
from flower.api.guards import shared_headers

#: Pages load nothing from elsewhere, run no inline script and are shown in no frame of another site.
PAGE_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none'; frame-ancestors 'none'"


class Headers:
    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._complete(MutableHeaders(scope=message))
            await send(message)

        if scope["method"] == "OPTIONS":
            await send_with_headers({"type": "http.response.start", "status": 204, "headers": []})
            await send_with_headers({"type": "http.response.body", "body": b""})
            return
        await self._app(scope, receive, send_with_headers)

    def _complete(self, headers: MutableHeaders) -> None:
        headers["x-content-type-options"] = "nosniff"
        if headers.get("content-type", "").startswith("text/html"):
            headers.setdefault("content-security-policy", PAGE_POLICY)
            headers["referrer-policy"] = "same-origin"
        for name, value in shared_headers(self._context).items():
            headers[name] = value
