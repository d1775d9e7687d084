"""The tree held against tasks of every shape."""

import copy
import pickle
from types import SimpleNamespace

import pytest
from celery.events.state import State
from hypothesis import given
from hypothesis import strategies as st

from flower.api.wire import as_dict, task_info
from flower.errors import Invalid
from flower.records import Task
from flower.search.fields import FIELDS
from flower.search.match import contains, field_text, kwargs_pair, matches
from flower.search.syntax import parse
from flower.search.terms import parse_search_terms, satisfies_search_terms
from flower.search.tree import EVERYTHING, And, Node, Not, Operator, Or, Term
from search_strategies import tasks, trees

TASK = Task(
    uuid="5f1c0000-aaaa",
    name="billing.Charge",
    state="FAILURE",
    hostname="celery@mail-1",
    args="('ORD-17', 'Straße')",
    kwargs="{'order_id': 17, 'note': 'Card Declined', 'none': None, 'ids': [1, 2]}",
    exception="KeyError('amount')",
    traceback="Traceback: in charge",
    queue="mail",
    received=100.0,
    retries=2,
    runtime=float("nan"),
)


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("", True),
        ("billing", True),
        ("BILLING.charge", True),
        ("strasse", True),
        ("5f1c", True),
        ("fail", True),
        ("mail-1", True),
        ("KeyError", True),
        ("charge FAILURE", True),
        ("chargeFAILURE", False),  # not across fields
        ("mail", True),
        ("queue:mail", True),
        ("exchange:mail", False),
        ("name:charge", True),
        ("name:ORD-17", False),
        ("state:failure", True),
        ("state:fail", False),
        ("worker:MAIL", True),
        ("result:None", False),  # missing, not the text None
        ("-result:None", True),
        ("kwargs:order_id=17", True),
        ("kwargs:ORDER_ID=17", True),
        ("kwargs:order_id=1", False),
        ("kwargs:order_id=017", False),
        ('kwargs:"note=card declined"', True),
        ("kwargs:note=card", False),
        ("kwargs:none=None", True),
        ("kwargs:none=", True),
        ('kwargs:"ids=[1, 2]"', True),
        ("kwargs:missing=", False),
        ("retries:2", True),
        ("retries:3", False),
        ("runtime:0", False),
        ("received:100.0", True),
        ("started:100.0", False),
        ("billing OR nothing", True),
        ("nothing OR (billing state:SUCCESS)", False),
        ("billing -ORD-18", True),
        ("NOT (billing ORD-17)", False),
    ],
)
def test_a_query_holds(query: str, holds: bool) -> None:
    assert matches(parse(query), TASK) is holds


@pytest.mark.parametrize(
    ("term", "holds"),
    [
        (Term("name", "equals", "billing.Charge"), True),
        (Term("name", "equals", "billing.charge"), False),
        (Term("name", "is", "BILLING.charge"), True),
        (Term("name", "is", "billing"), False),
        (Term("received", "range", (100.0, None)), True),
        (Term("received", "range", (None, 99.9)), False),
        (Term("received", "range", (None, None)), True),
        (Term("started", "range", (None, None)), False),
        (Term("runtime", "range", (None, None)), False),  # NaN is no value
        (And(()), True),
        (Or(()), False),
        (Not(Or(())), True),
    ],
)
def test_a_term_holds(term: Node, holds: bool) -> None:
    assert matches(term, TASK) is holds


@pytest.mark.parametrize("field", FIELDS.values(), ids=lambda field: field.name)
def test_a_missing_value_fulfils_no_term(field: object) -> None:
    name, kind = field.name, field.kind  # type: ignore[attr-defined]
    if name in ("uuid", "state"):
        return  # they are never missing
    operators: list[Operator] = ["range"] if kind in ("number", "time") else ["contains", "is", "equals"]
    for operator in operators:
        term = Term(name, operator, (None, None) if operator == "range" else "None")
        assert not matches(term, Task(uuid="x"))
        assert matches(Not(term), Task(uuid="x"))


@pytest.mark.parametrize(
    "term",
    [
        Term("nowhere", "contains", "x"),
        Term("", "is", "x"),
        Term("name", "range", (1.0, 2.0)),
        Term("retries", "contains", "2"),
        Term("args", "pair", ("a", "b")),
        Term("name", "contains", ("a", "b")),
    ],
)
def test_a_term_that_makes_no_sense_is_refused(term: Term) -> None:
    with pytest.raises(Invalid, match=r"No search field|cannot be"):
        matches(term, TASK)


def test_contains_ignores_case_and_minds_accents() -> None:
    assert contains("STRASSE", "straße".casefold())
    assert not contains("cafe", "café")


@pytest.mark.parametrize(
    ("text", "key", "value", "holds"),
    [
        (None, "a", "1", False),
        ("", "a", "1", False),
        ("{'a': 1}", "a", "1", True),
        ("{'a': '1'}", "a", "1", True),
        ("{'a': 'X'}", "A", "x", True),
        ("{'a': True}", "a", "true", True),
        ("{'a': b'x'}", "a", "x", True),
        ("{'a': 1.0}", "a", "1", False),
        ("{'a': 1, ...}", "a", "1", False),
        ("{'a': <object>, 'b': 1}", "b", "1", False),
        ("{'a': [1, ...]}", "a", "[1, ellipsis]", False),
        ("{'b': [1, ...], 'a': 2}", "a", "2", True),
        ("['a']", "a", "", False),
        (r"{'\x61': 1}", "a", "1", True),
        ("{'A': 1, 'a': 2}", "a", "2", True),
        ("{1: 1}", "1", "1", False),
    ],
)
def test_a_pair(text: str | None, key: str, value: str, holds: bool) -> None:
    assert kwargs_pair(text, key, value) is holds


@given(st.data())
def test_every_shape_of_a_task_gives_the_same_answer(data: st.DataObject) -> None:
    task = data.draw(tasks())
    node = data.draw(trees(task))
    expected = matches(node, task)
    info = task_info(task, worker=None, children=())
    assert satisfies_search_terms(info, [node]) is expected
    assert satisfies_search_terms(as_dict(info), [node]) is expected
    assert satisfies_search_terms(copy.deepcopy(info), [node]) is expected
    attributes = {name: getattr(task, name) for name in Task.__struct_fields__ if name != "hostname"}
    assert matches(node, SimpleNamespace(**attributes, worker=task.hostname and task.worker)) is expected


@given(tasks())
def test_a_task_survives_pickling(task: Task) -> None:
    info = task_info(task, worker=None, children=())
    again = pickle.loads(pickle.dumps(info))
    for field in FIELDS.values():
        if field.kind == "text":
            assert field_text(again, field) == field_text(task, field)


def test_celerys_own_task_objects() -> None:
    state = State()
    common = {"uuid": "u1", "hostname": "celery@w1", "clock": 1, "pid": 1, "local_received": 1.0, "utcoffset": 0}
    sent = {
        **common,
        "hostname": "gen1@web",
        "type": "task-sent",
        "name": "t.pay",
        "args": "(1,)",
        "kwargs": "{'a': 1}",
    }
    state.event({**sent, "timestamp": 1.0, "queue": "mail"})
    state.event({**common, "type": "task-received", "timestamp": 2.0, "name": "t.pay", "kwargs": "{'a': 1}"})
    state.event({**common, "type": "task-failed", "timestamp": 3.0, "exception": "KeyError('x')"})
    task = state.tasks["u1"]
    query = "name:pay state:failure worker:w1 kwargs:a=1 queue:mail client:gen1 KeyError received:2.0 -worker:web"
    assert satisfies_search_terms(task, parse_search_terms(query))
    assert satisfies_search_terms(as_dict(task), parse_search_terms(query))
    assert not matches(parse("result:x OR worker:gen1"), task)


def test_everything_holds_for_everything() -> None:
    assert matches(EVERYTHING, Task(uuid=""))
