"""The request log: rejected requests, and with the option `debug` all requests. Query strings are not logged, because
they can contain login codes and tokens."""

import logging
import time
from typing import Final

from starlette.types import Message, Scope, Send

from flower.log_rate_limit import limit_log_rate

#: Rejected requests that are logged per minute.
MAX_LINES_PER_MINUTE: Final = 100

log = logging.getLogger(__name__)
# A client that is rejected 1,000 times per second would write 10 GB per day.
limit_log_rate(log, burst=MAX_LINES_PER_MINUTE)


def log_denied(scope: Scope, status: int, message: str) -> None:
    log.warning("%s: %s", _request_line(scope, status), "".join(map(_escape_character, message)))


def with_request_log(scope: Scope, send: Send) -> Send:
    """Log the request when its response starts."""
    started = time.perf_counter()

    async def send_and_log(message: Message) -> None:
        if message["type"] == "http.response.start":
            milliseconds = (time.perf_counter() - started) * 1000
            log.debug("%s %.2f ms", _request_line(scope, message["status"]), milliseconds)
        await send(message)

    return send_and_log


def _request_line(scope: Scope, status: int) -> str:
    # The raw path is percent-encoded, so that a log entry is always one line.
    path = scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1").encode("unicode_escape").decode()
    client = scope.get("client")
    return f"{status} {scope['method']} {path} ({client[0] if client else 'unix socket'})"


def _escape_character(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
