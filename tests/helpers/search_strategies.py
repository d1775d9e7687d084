"""Hypothesis strategies: random tasks and search trees with hostile texts, arguments of all types and cut reprs."""

from typing import Any

from hypothesis import strategies as st

from flower.records import Attempt, Lost, Task
from flower.search.fields import FIELDS, is_ordered
from flower.search.matcher import field_text
from flower.search.python_literal import parse_literal
from flower.search.tree import Node, Not, Operator, PathCondition, RangeBounds, Term, all_of, any_of
from flower.search.wildcards import escape_wildcards

TEXT_FIELDS = [field for field in FIELDS.values() if not is_ordered(field)]
NUMBER_FIELDS = [field for field in FIELDS.values() if is_ordered(field)]
LIKE_FIELDS = [field for field in FIELDS.values() if field.kind in ("word", "state", "id")]
KEY_FIELDS = [field for field in FIELDS.values() if field.has_keys]

_PIECES = [
    "a",
    "B",
    "ß",
    "İ",
    "é",
    " ",
    '"',
    "'",
    "\\",
    "(",
    ")",
    "-",
    ":",
    "=",
    ",",
    "...",
    "\n",
    "\x00",
    "\ud800",
    "%",
    "_",
    "*",
    "?",
    "<",
    ">",
    ".",
]
_WORDS = ["AND", "OR", "NOT", "name", "state:", "x1", "ORD-17", "<object at 0x7f>"]

hostile = st.lists(st.sampled_from(_PIECES + _WORDS), max_size=8).map("".join) | st.text(max_size=12)
names = st.sampled_from(["shop.pay", "shop.Mail", "billing.charge", "ünïcode.task", ""]) | hostile
states = st.sampled_from(["PENDING", "RECEIVED", "STARTED", "SUCCESS", "FAILURE", "RETRY", "REVOKED", "PROGRESS"])
times = st.none() | st.sampled_from([0.0, 1.5, 1.7e9, 1.7e9 + 0.25]) | st.floats(allow_nan=True, allow_infinity=True)

_leaves = st.none() | st.booleans() | st.integers() | st.floats() | hostile | st.binary(max_size=5)
values: st.SearchStrategy[Any] = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from(["id", "Key", "order id"]) | hostile, inner, max_size=3)
    ),
    max_leaves=6,
)
keywords = st.dictionaries(st.sampled_from(["id", "order_id", "Größe", "k'"]) | hostile, values, max_size=4)


def _cut(pair: tuple[str, int]) -> str:
    text, length = pair
    return text if len(text) <= length else text[:length] + "..."


custom = st.dictionaries(
    st.sampled_from(["task-progress", "task-Mail", "progress"]) | hostile,
    st.dictionaries(st.sampled_from(["percent", "id"]) | hostile, values, max_size=2),
    max_size=2,
)
integers = st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5)


def texts_of(made: st.SearchStrategy[Any]) -> st.SearchStrategy[str | None]:
    reprs = made.map(repr)
    return st.none() | reprs | st.tuples(reprs, st.integers(0, 30)).map(_cut) | hostile


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    maybe = st.none() | hostile
    return Task(
        uuid=draw(st.uuids().map(str) | hostile),
        name=draw(st.none() | names),
        state=draw(states),
        hostname=draw(st.none() | st.sampled_from(["celery@w1", "Celery@W2"]) | hostile),
        pid=draw(st.none() | st.integers(1, 99999)),
        timestamp=draw(times),
        clock=draw(integers),
        sent=draw(times),
        received=draw(times),
        started=draw(times),
        failed=draw(times),
        retried=draw(times),
        runtime=draw(times),
        retries=draw(integers),
        priority=draw(integers),
        eta=draw(maybe),
        expires=draw(maybe),
        queue=draw(maybe),
        exchange=draw(maybe),
        routing_key=draw(maybe),
        client=draw(maybe),
        root_id=draw(maybe),
        parent_id=draw(maybe),
        args=draw(texts_of(st.lists(values, max_size=3).map(tuple))),
        kwargs=draw(texts_of(keywords)),
        result=draw(texts_of(values)),
        exception=draw(maybe),
        traceback=draw(maybe),
        earlier=draw(st.lists(st.builds(Attempt, number=st.just(0), exception=maybe), max_size=2).map(tuple)),
        data=draw(st.none() | custom),
        source=draw(st.none() | st.sampled_from(["worker", "result_backend"])),
        lost=draw(
            st.none()
            | st.builds(
                Lost, since=st.just(1.7e9), reason=st.sampled_from(["worker_offline", "not_in_queue"]), detail=hostile
            )
        ),
        run=draw(st.none() | st.integers(1, 4)),
        clock_offset=draw(st.none() | st.floats(-4000, 4000)),
        client_offset=draw(st.none() | st.floats(-4000, 4000)),
        queue_wait=draw(st.none() | st.floats(-10, 100)),
    )


def _needle(draw: st.DrawFn, text: str | None) -> str:
    """Often a part of the text of the task in another case, because random words would never match."""
    if not text or draw(st.booleans()):
        return draw(hostile.filter(bool))
    start = draw(st.integers(0, len(text) - 1))
    piece = text[start : start + draw(st.integers(1, 8))]
    return piece.swapcase() or piece


def _pair(draw: st.DrawFn) -> tuple[str, str]:
    key = draw(st.sampled_from(["id", "ORDER_ID", "größe", "nothing"]))
    return key, draw(values.map(lambda value: value if isinstance(value, str) else repr(value)))


def _pattern(draw: st.DrawFn, text: str | None) -> str:
    """A wildcard pattern with parts of the text of the task."""
    pieces = st.sampled_from(["*", "?", "**"]) | hostile.map(escape_wildcards)
    if not text or draw(st.booleans()):
        return "".join(draw(st.lists(pieces, max_size=4)))
    start = draw(st.integers(0, len(text)))
    stop = draw(st.integers(start, len(text)))
    tail = draw(st.sampled_from(["*", "?" * (len(text) - stop)]))
    return escape_wildcards(text[:start]) + draw(st.sampled_from(["", "*"])) + escape_wildcards(text[start:stop]) + tail


@st.composite
def bounds(draw: st.DrawFn) -> RangeBounds:
    bound = st.none() | st.floats(allow_nan=False) | st.sampled_from([0.0, 1.5, 1.7e9]) | st.integers(-2, 5)
    return draw(bound), draw(bound)


def _a_path(draw: st.DrawFn, value: Any) -> PathCondition:
    """A key path, often one that exists in the value."""
    keys: list[str] = []
    while isinstance(value, dict | list | tuple) and value and (not keys or draw(st.booleans())):
        key = draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
        keys.append(str(key).swapcase() if draw(st.booleans()) else str(key))
        value = value[key]
    keys = [key.removeprefix("task-") for key in keys] or [draw(st.sampled_from(["0", "id", "größe", "progress"]))]
    match draw(st.sampled_from(["is", "is", "like", "range", "present"])):
        case "is":
            return PathCondition(tuple(keys), "is", value.swapcase() if isinstance(value, str) else repr(value))
        case "like":
            return PathCondition(tuple(keys), "like", _pattern(draw, value if isinstance(value, str) else repr(value)))
        case "range":
            return PathCondition(tuple(keys), "range", draw(bounds()))
    return PathCondition(tuple(keys), "present")


def _spelled(text: str | None) -> Any:
    try:
        return parse_literal(text or "")
    except ValueError:
        return None


@st.composite
def terms(draw: st.DrawFn, task: Task) -> Term:
    kinds = ["free", "text", "text", "like", "path", "path", "present", "range", "pair", "slow"]
    match draw(st.sampled_from(kinds)):
        case "free":
            field = draw(st.sampled_from(TEXT_FIELDS))
            return Term("", "contains", _needle(draw, field_text(task, field)))
        case "text":
            field = draw(st.sampled_from(TEXT_FIELDS))
            text = field_text(task, field)
            operator: Operator = draw(st.sampled_from(["contains", "is", "equals"]))
            value = _needle(draw, text) if operator == "contains" or not text else text
            return Term(field.name, operator, value.swapcase() if operator == "is" else value)
        case "like":
            field = draw(st.sampled_from(LIKE_FIELDS))
            return Term(field.name, "like", _pattern(draw, field_text(task, field)))
        case "path":
            field = draw(st.sampled_from(KEY_FIELDS))
            held = task.data if field.name == "data" else _spelled(getattr(task, field.attribute))
            return Term(field.name, "path", _a_path(draw, held))
        case "present":
            return Term(draw(st.sampled_from(list(FIELDS))), "present", "")
        case "pair":
            return Term("kwargs", "pair", _pair(draw))
        case "slow":
            return Term("runtime", "slow", "")
    return Term(draw(st.sampled_from(NUMBER_FIELDS)).name, "range", draw(bounds()))


def trees(task: Task) -> st.SearchStrategy[Node]:
    """Search trees, many of which match the task."""
    return _trees(terms(task))


def _trees(leaves: st.SearchStrategy[Term]) -> st.SearchStrategy[Node]:
    def around(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        several = st.lists(inner, min_size=1, max_size=3)
        return inner.map(Not) | several.map(all_of) | several.map(any_of)

    return st.recursive(leaves, around, max_leaves=6)


def _writable(draw: st.DrawFn) -> Term:
    value = draw(hostile.filter(bool))
    finite = st.floats(allow_nan=False, allow_infinity=False)
    either = draw(st.tuples(finite, finite | st.none()).map(lambda pair: pair if draw(st.booleans()) else pair[::-1]))
    low, high = either
    if low is not None and high is not None:
        either = min(low, high), max(low, high)
    kinds = ["free", "field", "state", "pair", "number", "numbers", "time", "exact", "like", "present", "path", "slow"]
    match draw(st.sampled_from(kinds)):
        case "free":
            return Term("", "contains", value)
        case "state":
            return Term("state", "is", value)
        case "pair":
            return Term("kwargs", "pair", (value.replace("=", "").strip(), draw(hostile).strip()))
        case "number":
            number = draw(finite)
            return Term(draw(st.sampled_from(["retries", "runtime", "wait"])), "range", (number, number))
        case "numbers":
            return Term(draw(st.sampled_from(NUMBER_FIELDS)).name, "range", either)
        case "time":
            moment = draw(st.floats(-1e9, 1e11))
            return Term(draw(st.sampled_from(["received", "started", "timestamp"])), "range", (moment, moment))
        case "exact":
            return Term(draw(st.sampled_from(TEXT_FIELDS)).name, "equals", value)
        case "like":
            return Term(
                draw(st.sampled_from(LIKE_FIELDS)).name,
                "like",
                escape_wildcards(value) + "*" + escape_wildcards(draw(hostile)),
            )
        case "present":
            return Term(draw(st.sampled_from(list(FIELDS))), "present", "")
        case "slow":
            return Term("runtime", "slow", "")
        case "path":
            keys = tuple(draw(st.lists(hostile.filter(bool), min_size=1, max_size=3)))
            path = draw(
                st.sampled_from(
                    [PathCondition(keys, "is", value), PathCondition(keys, "like", escape_wildcards(value) + "?"),
                    PathCondition(keys, "range", either),
                     PathCondition(keys, "present")]
                )
            )  # fmt: skip
            return Term(draw(st.sampled_from(KEY_FIELDS)).name, "path", path)
    field = draw(st.sampled_from([field for field in TEXT_FIELDS if field.kind != "state"]))
    return Term(field.name, "contains", value.replace("=", "") or "x")


@st.composite
def writable_terms(draw: st.DrawFn) -> Term:
    """Terms that the query language can express."""
    return _writable(draw)


writable_trees = _trees(writable_terms())
