"""The process that publishes: `python -m bench.publisher redis|rabbitmq single|batched WORKLOAD`, the last one in JSON.

It makes and encodes the whole stream, cuts it into steps, says what is in them (one line of JSON), and
then obeys lines on its standard input, answering each with one line of JSON:

    connect HOST PORT     to a broker
    send STEP             every step before this one that has not gone out; returns when the broker has it all
    greet UUID            one task-received event of a task of that id
    rewind                begin again at the first step
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
from bench.wire_format import ENCODERS, EXCHANGE, Ended, encode

#: Events in a step, the grain in which a stream can be stopped and resumed.
STEP = 500
#: So many of the tasks that end last are named, to see by them that everything is in.
TAIL = 60


@dataclass(slots=True)
class Step:
    payload: bytes
    messages: int
    events: int  # of this and all steps before it
    ended: Ended | None  # the task that ended last in all steps so far


@dataclass(slots=True)
class Stream:
    steps: list[Step] = field(default_factory=list)
    tail: deque[Ended] = field(default_factory=lambda: deque(maxlen=TAIL))

    def facts(self) -> dict[str, Any]:
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


class Line(Protocol):
    """A connection to a broker, without anything that could be slow."""

    def send(self, payload: bytes, messages: int) -> None: ...

    def settle(self) -> dict[str, int]:
        """Wait until the broker has taken everything; what it said about it."""
        ...

    def close(self) -> None: ...


class RedisLine:
    """Commands go out in bulk while a thread reads the replies: each tells how many clients were handed the message."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.expected = self.answered = self.unheard = 0
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, payload: bytes, messages: int) -> None:
        self.expected += messages
        self.socket.sendall(payload)

    def settle(self) -> dict[str, int]:
        with self.changed:
            self.changed.wait_for(lambda: self.answered >= self.expected)
            return {"unheard": self.unheard}

    def close(self) -> None:
        self.socket.close()

    def _read(self) -> None:
        rest = b""
        while data := self.socket.recv(1 << 16):
            *replies, rest = (rest + data).split(b"\r\n")
            with self.changed:
                self.answered += len(replies)
                self.unheard += replies.count(b":0")
                self.changed.notify()


class RabbitLine:
    """Frames are written to a socket that py-amqp has connected; no confirmations, as Celery asks for none."""

    def __init__(self, host: str, port: int) -> None:
        self.connection = amqp.Connection(f"{host}:{port}", heartbeat=0)
        self.connection.connect()
        self.channel = self.connection.channel(1)
        self.channel.exchange_declare(EXCHANGE, "topic", durable=True, auto_delete=False)

    def send(self, payload: bytes, messages: int) -> None:
        self.connection.transport.sock.sendall(payload)

    def settle(self) -> dict[str, int]:
        # A channel is served in order: the answer to this comes when all that was written before it was taken.
        self.channel.exchange_declare(EXCHANGE, "topic", passive=True)
        return {}

    def close(self) -> None:
        with suppress(OSError, amqp.AMQPError):  # the broker may be gone by now
            self.connection.close()


LINES: dict[str, type[RedisLine] | type[RabbitLine]] = {"redis": RedisLine, "rabbitmq": RabbitLine}


def serve(broker: str, stream: Stream) -> None:
    line: Line | None = None
    position = 0
    for command in sys.stdin:
        verb, *words = command.split()
        answer: dict[str, Any] = {}
        if verb == "connect":
            if line:
                line.close()
            line = LINES[broker](words[0], int(words[1]))
        elif verb == "rewind":
            position = 0
        elif verb == "greet" and line:
            line.send(_greeting(broker, words[0]), 1)
            line.settle()
        elif verb == "send" and line:
            began = time.perf_counter()
            goal = int(words[0])
            for step in stream.steps[position:goal]:
                line.send(step.payload, step.messages)
            position = max(position, goal)
            answer = {**line.settle(), "seconds": time.perf_counter() - began}
        else:
            answer = {"error": f"cannot {command.strip()}"}
        print(json.dumps(answer), flush=True)


def _greeting(broker: str, uuid: str) -> bytes:
    event = {
        "hostname": "celery@greeter", "utcoffset": 0.0, "pid": 1, "clock": 1, "uuid": uuid, "name": "bench.greeting",
        "args": "()", "kwargs": "{}", "timestamp": time.time(), "type": "task-received",
    }  # fmt: skip
    return next(encode([Emitted(event)], ENCODERS[broker], batched=False)).payload


def main(broker: str, form: str, workload: str) -> None:
    stream = make_stream(broker, Workload(**json.loads(workload)), batched=form == "batched")
    print(json.dumps(stream.facts()), flush=True)
    serve(broker, stream)


if __name__ == "__main__":
    main(*sys.argv[1:])
