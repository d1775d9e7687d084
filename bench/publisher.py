"""The publisher process: `python -m bench.publisher redis|rabbitmq single|batched WORKLOAD`, with WORKLOAD in JSON.

It generates and encodes the event stream, divides it into steps, and describes them in one line of JSON. Then it reads
commands from standard input and replies to each with one line of JSON:

    connect HOST PORT     connect to a broker
    send STEP             publish every unpublished step before this one; replies when the broker has received all
    probe UUID            publish one task-received event with this task id
    rewind                restart at the first step
"""

import json
import socket
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import amqp

from bench.event_stream import Emitted, Workload
from bench.wire_format import ENCODERS, EXCHANGE, FinishedTask, encode

#: Events in a step, the unit in which a stream is sent.
STEP = 500
#: The number of last finished tasks in the description, by which the end of the stream is recognized.
TAIL = 60


@dataclass(slots=True)
class Step:
    payload: bytes
    messages: int
    events: int  # of this and all earlier steps
    ended: FinishedTask | None  # the last finished task of this and all earlier steps


@dataclass(slots=True)
class Stream:
    steps: list[Step] = field(default_factory=list)
    tail: deque[FinishedTask] = field(default_factory=lambda: deque(maxlen=TAIL))

    def describe(self) -> dict[str, Any]:
        return {
            "messages": sum(step.messages for step in self.steps),
            "bytes": sum(len(step.payload) for step in self.steps),
            "steps": [(step.events, step.ended) for step in self.steps],
            "tail": list(self.tail),
        }


def make_stream(broker: str, workload: Workload, *, batched: bool) -> Stream:
    stream = Stream()
    payloads: list[bytes] = []
    events = cut = 0
    for message in encode(workload.events(), ENCODERS[broker], batched=batched):
        payloads.append(message.payload)
        events += message.events
        stream.tail.extend(message.ended)
        if events - cut >= STEP:
            _cut(stream, payloads, events)
            cut = events
    if payloads:
        _cut(stream, payloads, events)
    return stream


def _cut(stream: Stream, payloads: list[bytes], events: int) -> None:
    ended = stream.tail[-1] if stream.tail else None
    stream.steps.append(Step(b"".join(payloads), len(payloads), events, ended))
    payloads.clear()


class BrokerConnection(Protocol):
    """A connection to a broker with as little overhead as possible."""

    def send(self, payload: bytes, messages: int) -> None: ...

    def flush(self) -> dict[str, int]:
        """Wait until the broker has received everything. Returns counts from its replies."""
        ...

    def close(self) -> None: ...


class RedisConnection:
    """Sends commands in bulk while a thread reads the replies, each the number of clients that received the message."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.expected = self.replied = self.undelivered = 0
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, payload: bytes, messages: int) -> None:
        self.expected += messages
        self.socket.sendall(payload)

    def flush(self) -> dict[str, int]:
        with self.changed:
            self.changed.wait_for(lambda: self.replied >= self.expected)
            return {"unheard": self.undelivered}

    def close(self) -> None:
        self.socket.close()

    def _read(self) -> None:
        rest = b""
        while data := self.socket.recv(1 << 16):
            *replies, rest = (rest + data).split(b"\r\n")
            with self.changed:
                self.replied += len(replies)
                self.undelivered += replies.count(b":0")
                self.changed.notify()


class RabbitMQConnection:
    """Writes frames to a socket that py-amqp has connected, without publisher confirms, which Celery does not use."""

    def __init__(self, host: str, port: int) -> None:
        self.connection = amqp.Connection(f"{host}:{port}", heartbeat=0)
        self.connection.connect()
        self.channel = self.connection.channel(1)
        self.channel.exchange_declare(EXCHANGE, "topic", durable=True, auto_delete=False)

    def send(self, payload: bytes, messages: int) -> None:
        self.connection.transport.sock.sendall(payload)

    def flush(self) -> dict[str, int]:
        # A channel is served in order: the broker replies after it has received everything before.
        self.channel.exchange_declare(EXCHANGE, "topic", passive=True)
        return {}

    def close(self) -> None:
        with suppress(OSError, amqp.AMQPError):  # the broker may have stopped
            self.connection.close()


CONNECTIONS: dict[str, type[RedisConnection] | type[RabbitMQConnection]] = {
    "redis": RedisConnection,
    "rabbitmq": RabbitMQConnection,
}


def serve(broker: str, stream: Stream) -> None:
    connection: BrokerConnection | None = None
    position = 0
    for command in sys.stdin:
        verb, *words = command.split()
        reply: dict[str, Any] = {}
        if verb == "connect":
            if connection:
                connection.close()
            connection = CONNECTIONS[broker](words[0], int(words[1]))
        elif verb == "rewind":
            position = 0
        elif verb == "probe" and connection:
            connection.send(_encode_probe(broker, words[0]), 1)
            connection.flush()
        elif verb == "send" and connection:
            began = time.perf_counter()
            last_step = int(words[0])
            for step in stream.steps[position:last_step]:
                connection.send(step.payload, step.messages)
            position = max(position, last_step)
            reply = {**connection.flush(), "seconds": time.perf_counter() - began}
        else:
            reply = {"error": f"unknown command or no connection: {command.strip()}"}
        print(json.dumps(reply), flush=True)


def _encode_probe(broker: str, uuid: str) -> bytes:
    event = {
        "hostname": "celery@probe", "utcoffset": 0.0, "pid": 1, "clock": 1, "uuid": uuid, "name": "bench.probe",
        "args": "()", "kwargs": "{}", "timestamp": time.time(), "type": "task-received",
    }  # fmt: skip
    return next(encode([Emitted(event)], ENCODERS[broker], batched=False)).payload


def main(broker: str, transport: str, workload: str) -> None:
    stream = make_stream(broker, Workload(**json.loads(workload)), batched=transport == "batched")
    print(json.dumps(stream.describe()), flush=True)
    serve(broker, stream)


if __name__ == "__main__":
    main(*sys.argv[1:])
