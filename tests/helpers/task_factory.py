"""Tasks for tests: simple ones by number, and hypothesis strategies for unusual ones."""

import uuid
from typing import Any

from hypothesis import strategies as st

from flower.records import TASK_STATES, Attempt, Lost, Task
from flower.search.fields import FIELDS
from flower.search.tree import EVERYTHING, And, Node, Not, Or, Term
from flower.store.protocols import SORT_KEYS, Query, Sort


def make(number: int, **fields: Any) -> Task:
    """Task `number`, with a canonical id."""
    values: dict[str, Any] = {
        "name": f"shop.{'order' if number % 3 else 'Mail'}",
        "state": "SUCCESS",
        "hostname": f"celery@w{number % 4}",
        "timestamp": 1000.0 + number,
        "received": 1000.0 + number,
        "started": 1000.5 + number,
        "runtime": (number * 37 % 101) / 10,
        "args": f"({number}, 'ORD-{number:05d}')",
        "kwargs": f"{{'order_id': {number}}}",
        "result": "'ok'",
    }
    values.update(fields)
    return Task(uuid=uuid_of(number), **values)


def uuid_of(number: int) -> str:
    return str(uuid.UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))


words = st.sampled_from(
    [
        "shop.order",
        "shop.ORDER",
        "Mail.send",
        "straße",
        "STRASSE",
        "Kelvin",
        "a%b",
        "a_b",
        "back\\slash",
        "",
        "İx",
        "ﬁn",
    ]
)
texts = st.one_of(
    words,
    st.text(alphabet="abkKsSß%_\\'\"İıſ\0\n 0é", max_size=12),
    st.sampled_from(["{'order_id': 17, 'Name': 'Ann'}", "{'a': 'b'}", "(1, 'x')", "\0hidden", "10%", "😀 smile"]),
)
#: few values, so that ties and equal values are common
times = st.sampled_from([0.0, 1.0, 2.5, 1000.0, 1000.5, 4102444800.0, -1.0, 1e300])
odd_ids = st.sampled_from(["id-1", "ID-1", "", "ß", uuid_of(3).upper(), "x" * 40, "5f1c"])
ids = st.one_of(st.integers(0, 30).map(uuid_of), odd_ids)
maybe = st.none
attempts = st.builds(
    Attempt,
    number=st.integers(0, 3),
    state=st.sampled_from([None, "RETRY", "RETRY", "FAILURE", "odd"]),
    exception=st.none() | texts,
)
losses = st.builds(
    Lost,
    since=times,
    reason=st.sampled_from(["worker_offline", "not_in_queue"]),
    detail=texts,
    queried=st.just(()) | st.just(("workers", "queue")),
)


def task_fields() -> dict[str, st.SearchStrategy[Any]]:
    integers = st.integers(-(2**40), 2**40)
    return {
        "name": st.none() | words,
        "state": st.sampled_from([*TASK_STATES, "RECEIVED", "REJECTED", "PROGRESS", "progress"]),
        "hostname": st.none() | words,
        "pid": st.none() | integers,
        "timestamp": st.none() | times,
        "clock": st.none() | integers,
        "sent": st.none() | times,
        "received": st.none() | times,
        "started": st.none() | times,
        "succeeded": st.none() | times,
        "runtime": st.none() | times,
        "retries": st.none() | st.integers(0, 4),
        "eta": st.none() | texts,
        "expires": st.none() | texts,
        "queue": st.none() | words,
        "exchange": st.none() | words,
        "routing_key": st.none() | words,
        "priority": st.none() | st.integers(0, 9),
        "client": st.none() | words,
        "root_id": st.none() | ids,
        "parent_id": st.none() | ids,
        "args": st.none() | texts,
        "kwargs": st.none() | texts,
        "result": st.none() | texts,
        "exception": st.none() | texts,
        "traceback": st.none() | texts,
        "earlier": st.lists(attempts, max_size=2).map(tuple),
        "source": st.sampled_from([None, "worker", "result_backend", "broker"]),
        "lost": st.none() | losses,
        "run": st.none() | st.integers(1, 3),
        "clock_offset": st.none() | st.sampled_from([2.5, -3600.0]),
        "client_offset": st.none() | st.sampled_from([3.0, 0.1 - 30.0]),
        "queue_wait": st.none() | times,
        "event_times": st.none() | st.dictionaries(words, st.lists(times, max_size=2).map(tuple), max_size=2),
        "data": st.none()
        | st.dictionaries(words, st.dictionaries(words, st.integers() | texts | st.none()), max_size=2),
    }


def some_tasks(uuids: st.SearchStrategy[str] = ids) -> st.SearchStrategy[Task]:
    return st.builds(Task, uuid=uuids, **task_fields())


needles = st.one_of(
    words,
    st.text(alphabet="abkKsSß%_\\'İıſ\0-0f", max_size=5),
    st.sampled_from(["order", "ORD", "5f1c", "-", "17", "s"]),
    ids,
    ids.map(lambda text: text[:9]),
    ids.map(lambda text: text[6:15]),
)


@st.composite
def terms(draw: st.DrawFn) -> Node:
    if draw(st.booleans()) and draw(st.booleans()):
        return Term("", "contains", draw(needles))
    field = draw(st.sampled_from(list(FIELDS.values())))
    if field.kind in ("number", "time"):
        bound = st.none() | times | st.integers(-2, 4)
        return Term(field.name, "range", (draw(bound), draw(bound)))
    if field.name == "kwargs" and draw(st.booleans()):
        return Term(
            "kwargs", "pair", draw(st.sampled_from([("order_id", "17"), ("NAME", "ann"), ("a", "B"), ("x", "")]))
        )
    value = draw(st.one_of(needles, st.sampled_from(["SUCCESS", "failure", "progress"])))
    return Term(field.name, draw(st.sampled_from(["contains", "is", "equals"])), value)


nodes = st.recursive(
    terms() | st.just(EVERYTHING),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: Or(tuple(parts))),
    ),
    max_leaves=5,
)
sorts = st.lists(
    st.builds(Sort, st.sampled_from(SORT_KEYS), st.booleans()), max_size=3, unique_by=lambda sort: sort.key
)
queries = st.builds(Query, nodes, sorts.map(tuple))
