"""Encodes events to the bytes that Celery and kombu send, before the clock starts.

`tests/bench/` compares these bytes with those of a real `EventDispatcher`. Redis: a PUBLISH command with kombu's
envelope. RabbitMQ: the three kinds of frames of `basic.publish`. Batched: a worker sends its task events in lists of up
to 24 with the routing key `task.multi`, and all other events one by one.
"""

import base64
import json
import struct
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from amqp.basic_message import Message as Properties

from bench.event_stream import Emitted, EventDict

EXCHANGE = "celeryev"
#: Celery's `EventDispatcher.buffer_limit`.
BATCH = 24
#: The maximum frame size that RabbitMQ and py-amqp negotiate, including eight bytes of framing.
FRAME_MAX = 131_072

Encoder = Callable[[str, str, bytes], bytes]


class FinishedTask(NamedTuple):
    """A task after its last event, and its final state."""

    uuid: str
    state: str


class EncodedMessage(NamedTuple):
    """One message as it is written to the socket."""

    payload: bytes
    events: int
    ended: tuple[FinishedTask, ...]


def redis_command(hostname: str, routing_key: str, body: bytes) -> bytes:
    """A PUBLISH command as of kombu's Redis transport for a fanout exchange in database 0."""
    envelope = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"hostname": hostname},
        "properties": {
            "delivery_mode": 1,
            "delivery_info": {"exchange": EXCHANGE, "routing_key": routing_key},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    channel = f"/0.{EXCHANGE}/{routing_key}".encode()
    message = json.dumps(envelope).encode()
    return b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(channel), channel, len(message), message)


def amqp_frames(hostname: str, routing_key: str, body: bytes) -> bytes:
    """basic.publish on channel 1: a method frame, a header frame, and as many body frames as necessary."""
    properties = _properties(hostname)
    header = _frame(2, struct.pack(">HHQ", 60, 0, len(body)) + properties)
    department = FRAME_MAX - 8
    bodies = (_frame(3, body[start : start + department]) for start in range(0, len(body), department))
    return b"".join((_publish(routing_key), header, *bodies))


ENCODERS: dict[str, Encoder] = {"redis": redis_command, "rabbitmq": amqp_frames}


def encode(events: Iterable[Emitted], encoder: Encoder, *, batched: bool) -> Iterator[EncodedMessage]:
    """Encode events to messages, in the order in which they are sent."""
    groups = _batches(events) if batched else ([emitted] for emitted in events)
    for group in groups:
        yield _encode_message(group, encoder, multi=batched and _buffered(group[0].event))


def _batches(events: Iterable[Emitted]) -> Iterator[list[Emitted]]:
    """Group the task events of each worker; worker events and task-sent events of producers are not buffered."""
    buffers: dict[str, list[Emitted]] = defaultdict(list)
    for emitted in events:
        if not _buffered(emitted.event):
            yield [emitted]
            continue
        buffer = buffers[emitted.event["hostname"]]
        buffer.append(emitted)
        if len(buffer) == BATCH:
            yield buffers.pop(emitted.event["hostname"])
    yield from buffers.values()


def _buffered(event: EventDict) -> bool:
    kind: str = event["type"]
    return kind != "task-sent" and kind.startswith("task-")


def _encode_message(group: Sequence[Emitted], encoder: Encoder, *, multi: bool) -> EncodedMessage:
    first = group[0].event
    routing_key = "task.multi" if multi else first["type"].replace("-", ".")
    content = [emitted.event for emitted in group] if multi else first
    ended = tuple(FinishedTask(emitted.event["uuid"], emitted.final) for emitted in group if emitted.final)
    return EncodedMessage(encoder(first["hostname"], routing_key, json.dumps(content).encode()), len(group), ended)


def _frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, 1, len(payload)) + payload + b"\xce"


@lru_cache
def _publish(routing_key: str) -> bytes:
    exchange, key = EXCHANGE.encode(), routing_key.encode()
    arguments = struct.pack(f">HB{len(exchange)}sB{len(key)}sB", 0, len(exchange), exchange, len(key), key, 0)
    return _frame(1, struct.pack(">HH", 60, 40) + arguments)


@lru_cache
def _properties(hostname: str) -> bytes:
    message = Properties(
        "",
        content_type="application/json",
        content_encoding="utf-8",
        application_headers={"hostname": hostname},
        delivery_mode=1,
        priority=0,
    )
    return bytes(message._serialize_properties())
