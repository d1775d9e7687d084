"""Parses the AMQP 0-9-1 frames of one channel into events.

    frame    type:1 channel:2 size:4 payload:size end:1 (0xCE)
    message  one method frame (basic.deliver), one header frame, body frames until the size is reached
"""  # fmt: skip

import struct

from amqp.serialization import decode_properties_basic

from flower.capture.decoder import MAX_OBJECTS, ContentHeaders, Decoder, is_json_object
from flower.capture.source import ConnectionLost
from flower.records import Event

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
_END = 0xCE
_DELIVER = b"\x00\x3c\x00\x3c"
_CANCEL = b"\x00\x3c\x00\x1e"
_CHANNEL_CLOSE = b"\x00\x14\x00\x28"
_CONNECTION_CLOSE = b"\x00\x0a\x00\x32"
_frame = struct.Struct(">BHI").unpack_from
_long = struct.Struct(">Q").unpack_from
_short = struct.Struct(">H").unpack_from

_MAX_CACHED_PROPERTIES = 1024


def encode_qos(channel: int, prefetch_count: int) -> bytes:
    """basic.qos, which RabbitMQ answers with basic.qos-ok."""
    return struct.pack(">BHIHHIHBB", METHOD, channel, 11, 60, 10, 0, prefetch_count, 0, _END)


class FrameParser:
    """Implements `receiver.MessageParser`; `completed_tag` is the delivery tag of the last complete message."""

    def __init__(self, decoder: Decoder, channel: int) -> None:
        self.completed_tag: int | None = None
        self._decoder = decoder
        self._channel = channel
        self._unparsed = b""
        # the message whose frames are being received
        self._delivery_tag = 0
        self._headers = ContentHeaders(None, None, None)
        self._remaining = 0
        self._parts: list[bytes] = []
        #: bodies of messages with one event each, not decoded yet
        self._objects: list[bytes] = []
        # The properties of one sender are the same bytes in every message.
        self._headers_by_properties: dict[bytes, ContentHeaders] = {}

    def feed(self, data: bytes, received: float, out: list[Event]) -> None:
        buffer = self._unparsed + data if self._unparsed else data
        try:
            position = self._parse_frames(buffer, received, out)
        except (struct.error, IndexError) as error:  # a frame that is shorter than its content
            raise ConnectionLost("invalid AMQP frame received") from error
        finally:
            self._decode_objects(received, out)
        self._unparsed = buffer[position:]

    def _parse_frames(self, buffer: bytes, received: float, out: list[Event]) -> int:
        """Handle the complete frames. Returns where the incomplete one begins."""
        position, size = 0, len(buffer)
        while size - position >= 8:
            kind, _, length = _frame(buffer, position)
            start = position + 7
            end = start + length
            if end >= size:
                break
            if buffer[end] != _END:
                raise ConnectionLost("invalid AMQP frame received")
            if kind == BODY:
                self._on_body(buffer[start:end], received, out)
            elif kind == HEADER:
                self._on_header(buffer, start, end, received, out)
            elif kind == METHOD:
                if buffer[start : start + 4] == _DELIVER:
                    (self._delivery_tag,) = _long(buffer, start + 5 + buffer[start + 4])
                else:
                    self._on_method(buffer[start:end])
            position = end + 1
        return position

    def ack(self, tag: int) -> bytes:
        """basic.ack with `multiple` set."""
        return struct.pack(">BHIHHQBB", METHOD, self._channel, 13, 60, 80, tag, 1, _END)

    def _on_header(self, buffer: bytes, start: int, end: int, received: float, out: list[Event]) -> None:
        (self._remaining,) = _long(buffer, start + 4)
        raw = buffer[start + 12 : end]
        self._headers = self._headers_by_properties.get(raw) or self._parse_properties(raw)
        if self._remaining == 0:
            self._on_message(b"", received, out)

    def _on_body(self, payload: bytes, received: float, out: list[Event]) -> None:
        self._remaining -= len(payload)
        if self._remaining > 0:
            self._parts.append(payload)
            return
        if self._parts:
            self._parts.append(payload)
            payload = b"".join(self._parts)
            self._parts = []
        self._on_message(payload, received, out)

    def _on_message(self, body: bytes, received: float, out: list[Event]) -> None:
        content = self._headers
        is_json = content.content_type == "application/json" and content.compression is None
        if is_json and is_json_object(body):
            self._objects.append(body)
            if len(self._objects) == MAX_OBJECTS:
                self._decode_objects(received, out)
        else:
            self._decode_objects(received, out)
            if is_json:
                self._decoder.decode_json(body, received, out)
            else:
                self._decoder.decode_message(body, content, received, out)
        # `feed` decodes the collected messages before it returns.
        self.completed_tag = self._delivery_tag

    def _decode_objects(self, received: float, out: list[Event]) -> None:
        """Decode the collected messages. Called before any other message, so that the order remains."""
        if self._objects:
            objects, self._objects = self._objects, []
            self._decoder.decode_objects(objects, received, out)

    def _parse_properties(self, raw: bytes) -> ContentHeaders:
        try:
            properties, _ = decode_properties_basic(raw, 0)
        except Exception:  # noqa: BLE001  a header table that the library cannot read is ignored
            properties = {}
        headers = properties.get("application_headers")
        compression = headers.get("compression") if isinstance(headers, dict) else None
        content_headers = ContentHeaders(
            _text(properties.get("content_type")), _text(properties.get("content_encoding")), _text(compression)
        )
        if (
            len(self._headers_by_properties) >= _MAX_CACHED_PROPERTIES
        ):  # a sender that changes the properties in each message
            self._headers_by_properties.clear()
        self._headers_by_properties[raw] = content_headers
        return content_headers

    def _on_method(self, payload: bytes) -> None:
        """Handle a method other than a delivery; the server can close the connection in one of three ways."""
        method = payload[:4]
        if method in (_CHANNEL_CLOSE, _CONNECTION_CLOSE):
            (code,) = _short(payload, 4)
            text = payload[7 : 7 + payload[6]].decode(errors="replace")
            raise ConnectionLost(f"closed by RabbitMQ: {code} {text}")
        if method == _CANCEL:
            raise ConnectionLost("consumer cancelled by RabbitMQ: the queue was deleted")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
