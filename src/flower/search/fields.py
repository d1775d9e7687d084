"""The fields that can be searched: one table that the parser, SQL, `match`, completion and the documentation read."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

#: text     kept as it came, searched by substring
#: word     one of few values (names, workers, queues), searched by substring
#: state    compared whole, ignoring case
#: id       a uuid or whatever the application uses as one, searched by substring
#: number, time   compared by range
FieldKind: TypeAlias = Literal["text", "word", "state", "id", "number", "time"]

#: columns     answered from columns, in milliseconds
#: text index  three characters or more are looked up in the text index; fewer are looked for in the rows
#: rows        every row that the rest of the query leaves is read
FieldCost: TypeAlias = Literal["columns", "text index", "rows"]


@dataclass(frozen=True, slots=True)
class Field:
    """`name` is what people type, `attribute` the field of the task record (or what `values` computes from it)."""

    name: str
    attribute: str
    kind: FieldKind
    cost: FieldCost
    description: str
    example: str
    #: is part of what a bare word searches
    in_free_text: bool = False
    #: a duration: takes units, and seconds without one
    is_duration: bool = False
    #: holds arguments or other values, whose keys can be asked for
    has_keys: bool = False


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("uuid", "uuid", "id", "columns", "the task's id", "uuid:5f1c", in_free_text=True),
        Field("name", "name", "word", "columns", "the task's name (type)", "name:billing", in_free_text=True),
        Field("state", "state", "state", "columns", "the state, whole", "state:FAILURE", in_free_text=True),
        Field("worker", "hostname", "word", "columns", "the worker's node name", "worker:celery@mail-1",
        in_free_text=True),
        Field(
            "args", "args", "text", "text index", "positional arguments, as the event's text", "args:ORD-17",
            in_free_text=True, has_keys=True,
        ),
        Field(
            "kwargs", "kwargs", "text", "text index", "keyword arguments; `key=value` for one of them",
            "kwargs:order_id=17", in_free_text=True, has_keys=True,
        ),
        Field(
            "result", "result", "text", "text index", "what the task returned, as the event's text", "result:ok",
            in_free_text=True, has_keys=True,
        ),
        Field(
            "exception", "exception", "text", "text index", "the exception of the last attempt", "exception:KeyError",
            in_free_text=True,
        ),
        Field(
            "traceback", "traceback", "text", "text index", "the traceback of the last attempt",
            'traceback:"in charge"', in_free_text=True,
        ),
        Field("failure", "failure", "state", "columns", "the group of alike failures, by its id, whole",
              "failure:9c1185a5c5e9fc54"),
        Field("queue", "queue", "word", "columns", "the queue it was sent to", "queue:mail"),
        Field("exchange", "exchange", "word", "columns", "the exchange it was sent to", "exchange:orders"),
        Field("routing_key", "routing_key", "word", "columns", "the routing key it was sent with",
              "routing_key:mail.fast"),
        Field("client", "client", "word", "columns", "the process that sent it", "client:web-3"),
        Field("priority", "priority", "number", "columns", "the priority it was sent with", "priority:>5"),
        Field("root_id", "root_id", "id", "rows", "the first task of its workflow", "root_id:5f1c"),
        Field("parent_id", "parent_id", "id", "rows", "the task that sent it", "parent_id:5f1c"),
        Field("eta", "eta", "text", "rows", "when it was to run", "eta:2026-11-22"),
        Field("expires", "expires", "text", "rows", "when it was to be dropped", "expires:2026-11-22"),
        Field("retries", "retries", "number", "columns", "how often it was tried again", "retries:>=3"),
        Field("attempts", "attempts", "number", "columns", "how many attempts are known", "attempts:>1"),
        Field("pid", "pid", "number", "columns", "the process that ran it", "pid:4711"),
        Field("clock", "clock", "number", "rows", "the logical clock of its newest event", "clock:>1000"),
        Field("runtime", "runtime", "number", "columns", "how long the last attempt ran", "runtime:>1.5s",
              is_duration=True),
        Field("wait", "wait", "number", "columns", "from being sent (or received) to being started", "wait:1m..5m",
              is_duration=True),
        Field("sent", "sent", "time", "columns", "when it was sent", "sent:today"),
        Field("received", "received", "time", "columns", "when a worker took it", "received:>-1h"),
        Field("started", "started", "time", "columns", "when it began to run", "started:2026-11-22"),
        Field("succeeded", "succeeded", "time", "columns", "when it succeeded", "succeeded:>2026-11-20"),
        Field("failed", "failed", "time", "columns", "when it failed", "failed:>-30m"),
        Field("retried", "retried", "time", "columns", "when it was last to be tried again", "retried:yesterday"),
        Field("revoked", "revoked", "time", "columns", "when it was revoked", "revoked:2026-11"),
        Field("rejected", "rejected", "time", "columns", "when it was rejected", "rejected:2026"),
        Field("timestamp", "timestamp", "time", "columns", "its newest event", "timestamp:2026-11-22"),
        Field("data", "data", "text", "rows", "what custom events brought, as JSON", "data.progress.percent:>50",
              has_keys=True),
    )
}  # fmt: skip

#: The fields that a bare word is looked for in.
FREE_TEXT = tuple(field for field in FIELDS.values() if field.in_free_text)

#: Other words for a field, as the documented API and Flower's JSON call it.
ALIASES = {"hostname": "worker", "type": "name", "id": "uuid", "root": "root_id", "parent": "parent_id"}


def find_field(word: str) -> Field | None:
    """The field that people mean by this word, in any case."""
    name = word.casefold()
    return FIELDS.get(ALIASES.get(name, name))


def is_ordered(field: Field) -> bool:
    """Whether its values are compared as numbers (times are numbers too)."""
    return field.kind in ("number", "time")
