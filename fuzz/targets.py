"""The functions that are fuzzed. Each raises AssertionError, or an exception that the product does not handle, if the
input is handled wrongly."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec.structs import replace
from starlette.requests import Request

from flower.capture.amqp_frames import FrameParser
from flower.capture.decoder import ContentHeaders, Decoder
from flower.capture.redis import RedisParser
from flower.capture.source import ConnectionLost
from flower.errors import FlowerError
from flower.fold import ClockOffsets, fold, fold_worker
from flower.http.request_params import read_json_object, read_params
from flower.http.v1.parsing import parse_body, parse_params
from flower.http.v1.routes import ROUTES
from flower.records import MAX_NAME_LENGTH, Event, Task, Worker
from flower.search.completion import parse_completion_request, suggest_completions
from flower.search.matcher import matches
from flower.search.parser import parse_search
from flower.search.query_warnings import find_query_warnings
from flower.search.tree import Node
from flower.store.sqlite.row_codec import WordDictionary, decode_row
from flower.store.sqlite.row_encoder import RowEncoder
from flower.store.sqlite.sql_where import validate_query

_NOW: Final = 1_750_000_000.0
_CONTENT_TYPES: Final = (
    "application/json", "application/x-yaml", "application/x-msgpack", "application/x-python-serialize", None,
)  # fmt: skip
_COMPRESSIONS: Final = (None, None, "application/x-gzip", "application/x-bz2", "application/x-lzma", "unknown")
_PARAMS: Final = sorted({route.params for route in ROUTES}, key=lambda kind: kind.__qualname__)
_BODIES: Final = sorted({route.body for route in ROUTES if route.body is not None}, key=lambda kind: kind.__qualname__)
_FORM_TYPES: Final = (
    b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x", b"application/json", b"text/plain",
)  # fmt: skip
_TASKS: Final = (
    Task("6f1a0a5e-6d0c-4a68-9a4e-0f1c6a0f3b11", name="shop.order", state="FAILURE", hostname="celery@w1",
         received=1.0, args="(1, 'ORD-1')", kwargs="{'order_id': 17}", exception="ValueError('x')",
         data={"task-progress": {"pct": [1, None]}}),
    Task("", args="(1, ...)", kwargs="{'a': {'b': [1, 2]}}", result="'ß İ'"),
)  # fmt: skip


def event_decoder(data: bytes) -> None:
    """Bodies of messages: the first byte selects the content type, the second one the compression."""
    if len(data) >= 2:
        content_type = _CONTENT_TYPES[data[0] % len(_CONTENT_TYPES)]
        compression = _COMPRESSIONS[data[1] % len(_COMPRESSIONS)]
        events: list[Event] = []
        headers = ContentHeaders(content_type, "utf-8", compression)
        Decoder(["json", "yaml", "msgpack"]).decode_message(data[2:], headers, _NOW, events)
        _check_events(events)


def redis_protocol(data: bytes) -> None:
    """Bytes from the socket of a Redis server."""
    _feed(RedisParser(Decoder()), data)


def amqp_frames(data: bytes) -> None:
    """Bytes from the socket of a RabbitMQ server."""
    _feed(FrameParser(Decoder(), 1), data)


def fold_events(data: bytes) -> None:
    """Events in any order. A task can be stored after each, and an event that is delivered again changes nothing."""
    events: list[Event] = []
    Decoder().decode_json(data, _NOW, events)
    tasks: dict[str, Task] = {}
    workers: dict[str, Worker] = {}
    clocks = ClockOffsets()
    for event in events[:200]:
        if event.uuid is not None and event.type.startswith("task-"):
            task = tasks[event.uuid] = fold(tasks.get(event.uuid), event, clocks)
            _check_task(task)
            assert fold(task, event, clocks) == task, "the event changes the task twice"
        elif event.hostname is not None:
            clocks.observe_worker_event(event, _NOW)
            worker = workers[event.hostname] = fold_worker(workers.get(event.hostname), event, _NOW, _NOW)
            assert msgspec.json.decode(msgspec.json.encode(worker), type=Worker) == worker


def search_query(data: bytes) -> None:
    """Queries, and their completion at each position."""
    text = data.decode("utf-8", "surrogateescape")
    for position in range(min(len(text), 40) + 1):
        suggest_completions(parse_completion_request(text, position))
    node = _reject(lambda: parse_search(text, _NOW))
    if isinstance(node, Node):
        find_query_warnings(text)
        _reject(lambda: validate_query(node))
        for task in _TASKS:
            matches(node, task, {"shop.order": 1.0})


def query_string(data: bytes) -> None:
    """Query strings: the first byte selects the route."""
    if data:
        kind = _PARAMS[data[0] % len(_PARAMS)]
        pairs = parse_qsl(data[1:].decode("latin-1"), keep_blank_values=True)
        _reject(lambda: parse_params(kind, {}, pairs))
        request = _request(b"text/plain", b"", data[1:])
        params = _run(read_params(request))
        if params is not None:
            for name in params.values:
                for read in (params.get_int, params.get_float, params.get_bool, params.require_int):
                    _reject(lambda read=read, name=name: read(name))  # type: ignore[misc]


def request_body(data: bytes) -> None:
    """Bodies of requests: the first byte selects the route, or the content type."""
    if data:
        kind = _BODIES[data[0] % len(_BODIES)]
        _reject(lambda: parse_body(kind, data[1:]))
        content_type = _FORM_TYPES[data[0] % len(_FORM_TYPES)]
        _run(read_params(_request(content_type, data[1:])))
        _run(read_json_object(_request(content_type, data[1:])))


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    target.__name__: target
    for target in (event_decoder, redis_protocol, amqp_frames, fold_events, search_query, query_string, request_body)
}


def _feed(parser: Any, data: bytes) -> None:
    events: list[Event] = []
    try:
        for start in range(0, len(data), 100):
            parser.feed(data[start : start + 100], _NOW, events)
    except ConnectionLost:
        pass
    _check_events(events)


def _check_events(events: list[Event]) -> None:
    for event in events:
        assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event
        assert event.uuid or not event.type.startswith("task-")
        assert len(event.hostname or "") <= MAX_NAME_LENGTH


def _check_task(task: Task) -> None:
    """The task can be written to a store and read again."""
    dictionary = WordDictionary()
    (row,) = zip(*RowEncoder(dictionary).encode([1], [task]), strict=True)
    dictionary.pop_new_words()
    stored = decode_row(row, dictionary.values)
    assert replace(stored, data=None) == replace(task, data=None)
    assert msgspec.json.decode(msgspec.json.encode(task), type=Task) == task


def _reject(action: Callable[[], Any]) -> Any:
    """The result; the error if the input is rejected with a message for users."""
    try:
        return action()
    except FlowerError as error:
        return error


def _run(action: Awaitable[Any]) -> Any:
    """The result; None if the input is rejected."""
    from starlette.exceptions import HTTPException  # noqa: PLC0415

    async def run() -> Any:
        try:
            return await action
        except (FlowerError, HTTPException):
            return None

    return asyncio.run(run())


def _request(content_type: bytes, body: bytes, query: bytes = b"") -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", content_type)]
    # with an application, Starlette raises HTTPException for an invalid form
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": query, "headers": headers, "app": None}
    return Request(scope, receive)
