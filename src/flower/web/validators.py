"""ETag and If-None-Match: a client that has an answer already is told so, instead of being sent it again."""

import hashlib
from typing import Final

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Scope, Send

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
