"""Tests of the matcher, on all types of task objects."""

import copy
import fnmatch
import pickle
import time
from types import SimpleNamespace
from typing import Any

import pytest
from celery.events.state import State
from hypothesis import given
from hypothesis import strategies as st

from flower.api.task_dict import as_dict, to_task_info
from flower.errors import InvalidRequest
from flower.fingerprint import compute_fingerprint
from flower.records import Task
from flower.search.fields import FIELDS
from flower.search.flower_terms import parse_search_terms, satisfies_search_terms
from flower.search.matcher import (
    contains_folded,
    field_text,
    find_path_values,
    has_kwargs_pair,
    matches,
    needs_slow_thresholds,
)
from flower.search.parser import parse_search
from flower.search.tree import EVERYTHING, And, Node, Not, Operator, Or, PathCondition, Term
from flower.search.wildcards import compile_wildcard
from tests.helpers.search_strategies import tasks, trees

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
        ("chargeFAILURE", False),  # no match across fields
        ("mail", True),
        ("queue:mail", True),
        ("exchange:mail", False),
        ("name:charge", True),
        ("name:ORD-17", False),
        ("state:failure", True),
        ("state:fail", False),
        ("worker:MAIL", True),
        ("result:None", False),  # missing, not the text "None"
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
        ("state:SUCCESS,FAILURE", True),
        ("state:fail*", True),
        ("state:fail?", False),
        ("name:=billing.Charge", True),
        ("name:=billing.charge", False),
        ("name:billing.*", True),
        ("name:*.charge", True),
        ("name:*.charge?", False),
        ('name:"billing.*"', False),
        ("worker:celery@mail-?", True),
        ("queue:ma,orders", True),
        ("uuid:5F1C*", True),
        ("retries:>1", True),
        ("retries:>2", False),
        ("retries:>=2", True),
        ("retries:1..2", True),
        ("retries:3..", False),
        ("received:<100", False),
        ("received:<=100", True),
        ("attempts:1", True),
        ("wait:0..", False),
        ("has:traceback", True),
        ("has:runtime", False),
        ("has:result,queue", True),
        ("has:data", False),
        ("has:failure", True),
        ("has:kwargs.none", True),
        ("has:kwargs.other", False),
        ("is:failed", True),
        ("is:finished", True),
        ("is:running,waiting", False),
        ("is:retried", True),
        ("is:root", True),
        ("is:child", False),
        ("is:slow", False),
        ("kwargs.order_id:17", True),
        ("kwargs.ORDER_ID:>16.5", True),
        ("kwargs.order_id:1*", True),
        ("kwargs.order_id:16,17", True),
        ("kwargs.ids.1:2", True),
        ("kwargs.ids.2:2", False),
        ('kwargs.note:"card declined"', True),
        ("kwargs.note:card", False),
        ("args.0:ORD-17", True),
        ("args.1:strasse", True),
        ("args.0:>5", False),
        ("billing OR nothing", True),
        ("nothing OR (billing state:SUCCESS)", False),
        ("billing -ORD-18", True),
        ("NOT (billing ORD-17)", False),
    ],
)
def test_query_matches(query: str, holds: bool) -> None:
    assert matches(parse_search(query), TASK) is holds


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
        (Term("runtime", "range", (None, None)), False),  # NaN is a missing value
        (And(()), True),
        (Or(()), False),
        (Not(Or(())), True),
    ],
)
def test_term_matches(term: Node, holds: bool) -> None:
    assert matches(term, TASK) is holds


@pytest.mark.parametrize("field", FIELDS.values(), ids=lambda field: field.name)
def test_missing_value_matches_no_term(field: object) -> None:
    name, kind = field.name, field.kind  # type: ignore[attr-defined]
    if name in ("uuid", "state", "attempts"):
        return  # these fields always have a value
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
        Term("args", "like", "a*"),
        Term("name", "slow", ""),
        Term("runtime", "slow", "x"),
        Term("name", "present", "x"),
        Term("name", "path", PathCondition(("a",), "present")),
        Term("kwargs", "path", PathCondition((), "present")),
        Term("kwargs", "path", PathCondition(("a",), "is", (1.0, 2.0))),
    ],
)
def test_invalid_term_is_rejected(term: Term) -> None:
    with pytest.raises(InvalidRequest, match=r"Unknown search field|Invalid condition"):
        matches(term, TASK)


def test_contains_ignores_case_but_not_accents() -> None:
    assert contains_folded("STRASSE", "straße".casefold())
    assert not contains_folded("cafe", "café")


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
def test_has_kwargs_pair(text: str | None, key: str, value: str, holds: bool) -> None:
    assert has_kwargs_pair(text, key, value) is holds


@given(st.data())
def test_all_task_types_give_the_same_result(data: st.DataObject) -> None:
    task = data.draw(tasks())
    node = data.draw(trees(task))
    expected = matches(node, task)
    info = to_task_info(task, worker=None, children=())
    assert satisfies_search_terms(info, [node]) is expected
    assert satisfies_search_terms(as_dict(info), [node]) is expected
    assert satisfies_search_terms(copy.deepcopy(info), [node]) is expected
    attributes = {name: getattr(task, name) for name in Task.__struct_fields__ if name != "hostname"}
    assert matches(node, SimpleNamespace(**attributes, worker=task.hostname and task.worker)) is expected


@given(tasks())
def test_task_can_be_pickled(task: Task) -> None:
    info = to_task_info(task, worker=None, children=())
    again = pickle.loads(pickle.dumps(info))
    for field in FIELDS.values():
        if field.kind == "text":
            assert field_text(again, field) == field_text(task, field)


def test_celery_task_objects() -> None:
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
    assert not matches(parse_search("result:x OR worker:gen1"), task)


def test_empty_query_matches_every_task() -> None:
    assert matches(EVERYTHING, Task(uuid=""))


SLOW = {"t.pay": 2.0}


@pytest.mark.parametrize(
    ("name", "runtime", "slow", "holds"),
    [
        ("t.pay", 2.5, SLOW, True),
        ("t.pay", 2.0, SLOW, False),
        ("t.pay", None, SLOW, False),
        ("t.other", 9.0, SLOW, False),
        (None, 9.0, SLOW, False),
        ("t.pay", 9.0, None, False),
    ],
)
def test_is_slow_uses_the_given_thresholds(
    name: str | None, runtime: float | None, slow: dict[str, float] | None, holds: bool
) -> None:
    task = Task(uuid="x", name=name, runtime=runtime)
    node = parse_search("is:slow")
    assert matches(node, task, slow) is holds
    assert matches(Not(node), task, slow) is not holds
    assert satisfies_search_terms(to_task_info(task, worker=None, children=()), [node], slow) is holds
    assert needs_slow_thresholds(Not(node))
    assert not needs_slow_thresholds(parse_search("runtime:>1"))


def test_custom_data_is_found_by_event_and_field() -> None:
    task = Task(uuid="x", data={"task-progress": {"percent": 60, "of": ["a", 1]}})
    for query in ("data.progress.percent:>50", "data.task-progress.percent:60", "data.progress.of.0:A", "data:percent"):
        assert matches(parse_search(query), task), query
    assert not matches(parse_search("data.progress.percent:<50"), task)


def test_wait_is_computed_for_all_task_types() -> None:
    times: dict[str, Any] = {"sent": 1.0, "received": 2.0, "started": 5.0}
    for task in (Task(uuid="x", **times), times, SimpleNamespace(**times)):
        assert matches(parse_search("wait:4"), task)
    assert matches(parse_search("wait:3s"), {"received": 2.0, "started": 5.0})
    assert not matches(parse_search("has:wait"), {"started": 5.0})


def test_failure_field_is_the_fingerprint() -> None:
    found = compute_fingerprint(TASK.exception, TASK.traceback)
    assert found is not None
    assert matches(parse_search(f"failure:{found.id.upper()}"), TASK)
    assert matches(parse_search(f"failure:{found.id[:5]}*"), to_task_info(TASK, worker=None, children=()))
    assert not matches(parse_search("failure:0000000000000000"), TASK)


@pytest.mark.parametrize(
    ("text", "keys", "values"),
    [
        ("{'a': {'b': [1, 2]}}", ("A", "b", "1"), [2]),
        ("{'a': 1, 'A': 2}", ("a",), [1, 2]),
        ("{'a': 'cut...", ("a",), []),
        ("{'a': [1, ...]}", ("a", "1"), []),
        ("{1: 2}", ("1",), [2]),
        ("('x',)", ("-1",), []),
        ("'abc'", ("0",), []),
        ("{'a': '[1]'}", ("a", "0"), []),
        ({"a": (1, 2)}, ("a", "0"), [1]),
        (None, ("a",), []),
    ],
)
def test_find_path_values(text: object, keys: tuple[str, ...], values: list[object]) -> None:
    assert find_path_values(text, keys) == values


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("*", "", True),
        ("a*b*c", "aXXbYYc", True),
        ("a*b*c", "aXXcYYb", False),
        ("*ab*ab", "xab", False),
        ("a?c", "ABC", True),
        ("a?c", "ac", False),
        (r"a\*", "a*", True),
        (r"a\*", "ab", False),
        ("a[b]*", "a[b]c", True),
        ("stra*", "Straße", True),
        ("**", "x\ny", True),
    ],
)
def test_patterns(pattern: str, text: str, fits: bool) -> None:
    assert compile_wildcard(pattern)(text) is fits


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_patterns_agree_with_fnmatch(pattern: str, text: str) -> None:
    assert compile_wildcard(pattern)(text) is fnmatch.fnmatchcase(text, pattern)


def test_hostile_pattern_is_matched_quickly() -> None:
    started = time.process_time()
    assert not compile_wildcard("*a" * 16 + "b")("a" * 100_000)
    assert not compile_wildcard("*" + "?" * 500 + "b*")("a" * 20_000)
    assert time.process_time() - started < 2
