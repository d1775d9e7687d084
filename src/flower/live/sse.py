"""The form of a stream: `text/event-stream`, as the HTML standard has it."""

from typing import Final

EVENT_STREAM_MEDIA_TYPE: Final = "text/event-stream"

#: Nothing between us and the browser may keep it or hold it back.
EVENT_STREAM_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}

#: Milliseconds after which a browser that lost the stream comes back.
RETRY_MILLISECONDS: Final = 2_000

#: What a silent stream says, so that whoever is in between does not take it for dead.
KEEPALIVE_COMMENT: Final = b": still here\n\n"


def format_event(name: str, data: bytes, sequence: int | None = None) -> bytes:
    """`data` is one line. With a sequence, a browser that comes back says how far it had come."""
    place = b"" if sequence is None else b"id: %d\n" % sequence
    return b"event: %b\n%bdata: %b\n\n" % (name.encode(), place, data)


def format_retry() -> bytes:
    return b"retry: %d\n\n" % RETRY_MILLISECONDS
