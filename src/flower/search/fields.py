"""Table of the searchable fields, read by the parser, the SQL compiler, the matcher, completion and the
documentation."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

#: text          text of the event, searched by substring
#: word          few distinct values (names, workers, queues), searched by substring
#: state         compared as a complete value, ignoring case
#: id            a UUID or any other task id, searched by substring
#: number, time  compared by range
FieldKind: TypeAlias = Literal["text", "word", "state", "id", "number", "time"]

#: columns     answered from columns, in milliseconds
#: text_index  three or more characters are looked up in the text index; fewer require reading rows
#: rows        reads every row that the rest of the query leaves
FieldCost: TypeAlias = Literal["columns", "text_index", "rows"]


@dataclass(frozen=True, slots=True)
class Field:
    """`name` is used in queries, `attribute` is the field of the task record (or a value that `field_values` computes
    from it)."""

    name: str
    attribute: str
    kind: FieldKind
    cost: FieldCost
    description: str
    example: str
    #: included in the search for a bare word
    in_free_text: bool = False
    #: a duration: accepts units; a number without a unit is seconds
    is_duration: bool = False
    #: contains values that can be searched by key
    has_keys: bool = False


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("uuid", "uuid", "id", "columns", "task id", "uuid:5f1c", in_free_text=True),
        Field("name", "name", "word", "columns", "task name (type)", "name:billing", in_free_text=True),
        Field("state", "state", "state", "columns", "exact state", "state:FAILURE", in_free_text=True),
        Field("worker", "hostname", "word", "columns", "node name of the worker", "worker:celery@mail-1",
        in_free_text=True),
        Field(
            "args", "args", "text", "text_index", "positional arguments (text)", "args:ORD-17",
            in_free_text=True, has_keys=True,
        ),
        Field(
            "kwargs", "kwargs", "text", "text_index", "keyword arguments (text); `key=value` for one argument",
            "kwargs:order_id=17", in_free_text=True, has_keys=True,
        ),
        Field(
            "result", "result", "text", "text_index", "return value (text)", "result:ok",
            in_free_text=True, has_keys=True,
        ),
        Field(
            "exception", "exception", "text", "text_index", "exception of the last attempt", "exception:KeyError",
            in_free_text=True,
        ),
        Field(
            "traceback", "traceback", "text", "text_index", "traceback of the last attempt",
            'traceback:"in charge"', in_free_text=True,
        ),
        Field("failure", "failure", "state", "columns", "failure group ID",
              "failure:9c1185a5c5e9fc54"),
        Field("queue", "queue", "word", "columns", "queue that the task was sent to", "queue:mail"),
        Field("exchange", "exchange", "word", "columns", "exchange that the task was sent to", "exchange:orders"),
        Field("routing_key", "routing_key", "word", "columns", "routing key of the message",
              "routing_key:mail.fast"),
        Field("client", "client", "word", "columns", "process that sent the task", "client:web-3"),
        Field("priority", "priority", "number", "columns", "priority of the message", "priority:>5"),
        Field("root_id", "root_id", "id", "rows", "first task of the workflow", "root_id:5f1c"),
        Field("parent_id", "parent_id", "id", "rows", "task that sent this task", "parent_id:5f1c"),
        Field("eta", "eta", "text", "rows", "earliest time of execution (ETA)", "eta:2026-11-22"),
        Field("expires", "expires", "text", "rows", "expiry time", "expires:2026-11-22"),
        Field("retries", "retries", "number", "columns", "number of retries", "retries:>=3"),
        Field("attempts", "attempts", "number", "columns", "number of recorded attempts", "attempts:>1"),
        Field("pid", "pid", "number", "columns", "pid of the worker process", "pid:4711"),
        Field("clock", "clock", "number", "rows", "logical clock of the last event", "clock:>1000"),
        Field("runtime", "runtime", "number", "columns", "run time of the last attempt", "runtime:>1.5s",
              is_duration=True),
        Field("wait", "wait", "number", "columns", "time from sent (or received) to started", "wait:1m..5m",
              is_duration=True),
        Field("sent", "sent", "time", "columns", "time sent", "sent:today"),
        Field("received", "received", "time", "columns", "time received by a worker", "received:>-1h"),
        Field("started", "started", "time", "columns", "start time", "started:2026-11-22"),
        Field("succeeded", "succeeded", "time", "columns", "time of success", "succeeded:>2026-11-20"),
        Field("failed", "failed", "time", "columns", "time of failure", "failed:>-30m"),
        Field("retried", "retried", "time", "columns", "last retry time", "retried:yesterday"),
        Field("revoked", "revoked", "time", "columns", "time of revocation", "revoked:2026-11"),
        Field("rejected", "rejected", "time", "columns", "time of rejection", "rejected:2026"),
        Field("timestamp", "timestamp", "time", "columns", "time of the last event", "timestamp:2026-11-22"),
        Field("time", "time", "time", "columns", "time received, else sent, else of the first event", "time:>-1h"),
        Field("ended", "ended", "time", "columns", "time when the last attempt ended: succeeded, failed, …",
              "ended:>-1h"),
        Field("source", "source", "word", "columns",
              "source that proved the state: `worker`, `result_backend` or `broker`; none: the events of the task",
              "source:result_backend"),
        Field("lost", "lost", "state", "rows", "reason why no source proves the state", "lost:worker_offline"),
        Field("run", "run", "number", "rows", "number of the run, if the id was used again", "run:>0"),
        Field("data", "data", "text", "rows", "fields of custom events, as JSON", "data.progress.percent:>50",
              has_keys=True),
    )
}  # fmt: skip

#: The fields that are searched for a bare word.
FREE_TEXT = tuple(field for field in FIELDS.values() if field.in_free_text)

#: Aliases: the names of the documented API and of Flower's JSON.
ALIASES = {"hostname": "worker", "type": "name", "id": "uuid", "root": "root_id", "parent": "parent_id"}


def find_field(word: str) -> Field | None:
    """The field with this name or alias, ignoring case."""
    name = word.casefold()
    return FIELDS.get(ALIASES.get(name, name))


def is_ordered(field: Field) -> bool:
    """Whether the values are compared as numbers (times are numbers)."""
    return field.kind in ("number", "time")
