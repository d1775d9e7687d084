"""The fields that can be searched: one table that the parser, SQL, `match` and the documentation read."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

#: text     kept as it came, searched by substring
#: word     one of few values (names, workers, queues), searched by substring
#: state    compared whole, ignoring case
#: id       a uuid or whatever the application uses as one, searched by substring
#: number, time   compared by range
Kind: TypeAlias = Literal["text", "word", "state", "id", "number", "time"]


@dataclass(frozen=True, slots=True)
class Field:
    """`name` is what people type, `attribute` the field of the task record."""

    name: str
    attribute: str
    kind: Kind
    #: is part of what a bare word searches
    free: bool
    sentence: str
    example: str


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("uuid", "uuid", "id", True, "the task's id", "uuid:5f1c"),
        Field("name", "name", "word", True, "the task's name (type)", "name:billing"),
        Field("state", "state", "state", True, "the state, whole", "state:FAILURE"),
        Field("worker", "hostname", "word", True, "the worker's node name", "worker:celery@mail-1"),
        Field("args", "args", "text", True, "positional arguments, as the event's text", "args:ORD-17"),
        Field("kwargs", "kwargs", "text", True, "keyword arguments; `key=value` for one of them", "kwargs:order_id=17"),
        Field("result", "result", "text", True, "what the task returned, as the event's text", "result:ok"),
        Field("exception", "exception", "text", True, "the exception of the last attempt", "exception:KeyError"),
        Field("traceback", "traceback", "text", True, "the traceback of the last attempt", 'traceback:"in charge"'),
        Field("queue", "queue", "word", False, "the queue it was sent to", "queue:mail"),
        Field("exchange", "exchange", "word", False, "the exchange it was sent to", "exchange:orders"),
        Field("routing_key", "routing_key", "word", False, "the routing key it was sent with", "routing_key:mail.fast"),
        Field("client", "client", "word", False, "the process that sent it", "client:web-3"),
        Field("root_id", "root_id", "id", False, "the first task of its workflow", "root_id:5f1c"),
        Field("parent_id", "parent_id", "id", False, "the task that sent it", "parent_id:5f1c"),
        Field("eta", "eta", "text", False, "when it was to run", "eta:2026-11-22"),
        Field("expires", "expires", "text", False, "when it was to be dropped", "expires:2026-11-22"),
        Field("retries", "retries", "number", False, "how often it was tried again", "retries:3"),
        Field("runtime", "runtime", "number", False, "seconds the last attempt ran", "runtime:2"),
        Field("received", "received", "time", False, "when a worker took it", "received:2026-11-22"),
        Field("started", "started", "time", False, "when it began to run", "started:2026-11-22"),
        Field("timestamp", "timestamp", "time", False, "its newest event", "timestamp:2026-11-22"),
    )
}

#: The fields that a bare word is looked for in.
FREE_TEXT = tuple(field for field in FIELDS.values() if field.free)
