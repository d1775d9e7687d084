"""What drain and recorder send to each other over their Unix socket.

    frame    length of header:4 length of data:4 header data
    header   one of the structs below, as MessagePack; data is bytes from the broker, or empty

Both sides ignore fields that they do not know. A change that requires more increases PROTOCOL.
"""  # fmt: skip

import struct
from typing import Final, TypeAlias

import msgspec

from flower.records import Gap

PROTOCOL: Final = 1

_LENGTHS = struct.Struct(">II")
#: Larger frames are invalid: chunks are limited by the receive buffer of the socket and one message.
_MAX_FRAME: Final = 1 << 30


class Welcome(msgspec.Struct, frozen=True, tag=True):
    """The first frame of the drain."""

    drain_id: str
    version: str
    #: identifies the settings that concern the drain
    settings: str
    pid: int
    protocol: int = PROTOCOL


class Status(msgspec.Struct, frozen=True, tag=True):
    """State of the drain, sent every second and when it changes. `caught_up_at`: everything that arrived before has
    been sent in earlier frames."""

    connected: bool
    state_since: float | None
    last_error: str | None
    backlog_bytes: int
    spilled_bytes: int
    caught_up_at: float | None = None
    #: the last time at which the broker was reachable; None if unknown
    confirmed_at: float | None = None


class Connected(msgspec.Struct, frozen=True, tag=True):
    """A new connection to the broker, with the gap before it."""

    sequence: int
    connection: int
    gap: Gap | None


class Data(msgspec.Struct, frozen=True, tag=True):
    """Whole messages of a connection, read at `received`, which arrived after `since`."""

    sequence: int
    connection: int
    received: float
    since: float


class LogLine(msgspec.Struct, frozen=True, tag=True):
    """A line for the log of the recorder."""

    level: int
    text: str


class End(msgspec.Struct, frozen=True, tag=True):
    """The reply to Finish: everything has been sent. `complete_until`: until when no event was missed."""

    complete_until: float | None


class Read(msgspec.Struct, frozen=True, tag=True):
    """Send what follows this sequence number; everything before is written."""

    after: int


class Ack(msgspec.Struct, frozen=True, tag=True):
    """Everything up to this sequence number is written."""

    sequence: int


class Reconnect(msgspec.Struct, frozen=True, tag=True):
    """The bytes of this connection after `since` cannot be parsed."""

    connection: int
    reason: str
    since: float | None


class Finish(msgspec.Struct, frozen=True, tag=True):
    """Another drain has taken over: receive no more, send what is left, then exit."""


class Detach(msgspec.Struct, frozen=True, tag=True):
    """The recorder stops. Wait `linger` seconds for the next one, then exit."""

    linger: float


FromDrain: TypeAlias = Welcome | Status | Connected | Data | LogLine | End
ToDrain: TypeAlias = Read | Ack | Reconnect | Finish | Detach

_encode = msgspec.msgpack.Encoder().encode


class InvalidFrame(Exception):
    """The other side sent what this version does not know."""


def encode_frame(header: FromDrain | ToDrain, data: bytes = b"") -> tuple[bytes, bytes]:
    """The frame in two parts, so that `data` is not copied."""
    encoded = _encode(header)
    return _LENGTHS.pack(len(encoded), len(data)) + encoded, data


class FrameReader:
    """Bytes to frames."""

    def __init__(self, headers: object) -> None:
        """`headers`: the union of accepted headers."""
        self._decode = msgspec.msgpack.Decoder(headers).decode
        self._buffer = bytearray()
        self._position = 0

    def feed(self, data: bytes | memoryview) -> None:
        if self._position:
            del self._buffer[: self._position]
            self._position = 0
        self._buffer += data

    def next(self) -> tuple[object, bytes] | None:
        """The next frame; None if it is incomplete. Raises InvalidFrame."""
        available = len(self._buffer) - self._position
        if available < _LENGTHS.size:
            return None
        header_size, data_size = _LENGTHS.unpack_from(self._buffer, self._position)
        if header_size + data_size > _MAX_FRAME:
            raise InvalidFrame(f"a frame of {header_size + data_size:,} bytes")
        if available < _LENGTHS.size + header_size + data_size:
            return None
        start = self._position + _LENGTHS.size
        middle, end = start + header_size, start + header_size + data_size
        self._position = end
        with memoryview(self._buffer) as view:
            data = bytes(view[middle:end])
            try:
                return self._decode(view[start:middle]), data
            except msgspec.MsgspecError as error:
                raise InvalidFrame(str(error)) from None
