"""Tests of the documented search functions, through their documented import path."""

from typing import Any

import pytest

from flower.api.task_dict import ParsedArgs, ParsedKwargs
from flower.current_events import set_current_events, unset_current_events
from flower.errors import SearchError
from flower.records import Task
from flower.search.tree import Not, Or, Term
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch
from flower.utils.search import parse_search_terms, satisfies_search_terms, task_args_contains_search_args

FAILED = {"uuid": "u1", "name": "app.my_task", "state": "FAILURE", "traceback": "error: database connection lost"}


def test_terms_have_field_operator_and_value() -> None:
    terms = parse_search_terms("name:my_task state:FAILURE")
    assert [(term.field, term.operator, term.value) for term in terms] == [  # type: ignore[union-attr]
        ("name", "contains", "my_task"),
        ("state", "is", "FAILURE"),
    ]


def test_alternatives_and_negations_are_nested() -> None:
    assert [type(term) for term in parse_search_terms("a (b OR c) -d")] == [Term, Or, Not]
    assert [type(term) for term in parse_search_terms("a OR b")] == [Or]


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_no_terms_match_every_task(nothing: str | None) -> None:
    assert parse_search_terms(nothing) == []
    assert satisfies_search_terms(FAILED, [])


def test_satisfies_search_terms() -> None:
    assert satisfies_search_terms(FAILED, parse_search_terms("name:my_task state:FAILURE"))
    assert satisfies_search_terms(FAILED, parse_search_terms("error database connection"))
    assert not satisfies_search_terms(FAILED, parse_search_terms("name:my_task state:SUCCESS"))


class Running:
    """A running Events instance with a store in memory."""

    def __init__(self, *tasks: Task) -> None:
        shared = MemoryStore()
        MemoryWriter(shared).write(Batch(new=tasks))
        self.store = MemoryReader(shared)


def test_is_slow_uses_the_running_events() -> None:
    terms = parse_search_terms("name:pay is:slow")
    task = {"uuid": "x", "name": "t.pay", "runtime": 50.0}
    assert not satisfies_search_terms(task, terms)
    events = Running(*(Task(uuid=str(number), name="t.pay", runtime=float(number)) for number in range(1, 41)))
    set_current_events(events)
    try:
        assert satisfies_search_terms(task, terms)
        assert not satisfies_search_terms({**task, "runtime": 20.0}, terms)
    finally:
        unset_current_events(events)


def test_error_has_a_position() -> None:
    with pytest.raises(ValueError, match="at position 4") as caught:
        parse_search_terms("abc (def")
    assert isinstance(caught.value, SearchError)


@pytest.mark.parametrize(
    ("arguments", "wanted", "holds"),
    [
        # values
        ([1, 2, 3], [1, 3], True),
        ([1, 2, 3], [4], False),
        ((1, "a"), ["a"], True),
        ({"order": 17}, [17], True),
        ([[1, [2]]], [2], True),
        ([[1, 2]], [(1, 2)], True),
        ([True], [1], False),
        ([1], [True], False),
        ([None], [None], True),
        # texts
        (["Order ORD-17"], ["ord-17"], True),
        ([17], ["17"], True),
        ({"order_id": 17}, ["order_id"], True),
        (["it's"], ["it's"], True),
        ([1, 2], ["nothing"], False),
        # text of an event
        ("(1, 'ORD-17')", [1, "ORD-17"], True),
        ("{'order_id': 17}", [17], True),
        ("(<Order 17>, 'x')", ["Order"], True),
        ("(<Order 170>,)", [17], False),
        ("(<Order 17>,)", [17], True),
        ("('a', 1...", ["a"], True),
        (ParsedArgs([1], "(1,)"), [1], True),
        (ParsedKwargs({"a": 1}, "{'a': 1}"), ["'a'"], True),
        # nothing
        (None, ["x"], False),
        (None, [], True),
        ([], [], True),
        ([], ["x"], False),
        ("", ["x"], False),
        # a string is one argument, not its characters
        (["abc"], "abc", True),
        (["cab"], "abc", False),
    ],
)
def test_task_args_contains_search_args(arguments: Any, wanted: Any, holds: bool) -> None:
    assert task_args_contains_search_args(arguments, wanted) is holds
