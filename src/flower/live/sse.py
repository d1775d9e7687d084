"""Framing of server-sent events: `text/event-stream` as defined by the HTML standard."""

from typing import Final

EVENT_STREAM_MEDIA_TYPE: Final = "text/event-stream"

#: No proxy may cache or buffer the stream.
EVENT_STREAM_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}

#: Delay in milliseconds after which a browser reconnects.
RETRY_MILLISECONDS: Final = 2_000

#: Sent on an idle stream so that proxies do not close the connection.
KEEPALIVE_COMMENT: Final = b": still here\n\n"


def format_event(name: str, data: bytes, sequence: int | None = None) -> bytes:
    """One event. `data` must be one line. With a `sequence`, a browser that reconnects sends it as Last-Event-ID."""
    event_id = b"" if sequence is None else b"id: %d\n" % sequence
    return b"event: %b\n%bdata: %b\n\n" % (name.encode(), event_id, data)


def format_retry() -> bytes:
    return b"retry: %d\n\n" % RETRY_MILLISECONDS
