"""Warnings about valid queries that are probably mistakes, and their corrections."""

import pytest

from flower.records import LostReason
from flower.search.parser import parse_search
from flower.search.query_warnings import find_query_warnings


@pytest.mark.parametrize(
    ("query", "position", "words"),
    [
        ("abc stat:x", 4, "did you mean state:?"),
        ("nothinglike:x", 0, "searched as text"),
        ("name.x:y", 0, "has no keys"),
        ("name:<locals>", 5, "does not support comparison"),
        ("a or b", 2, "the operator is OR"),
    ],
)
def test_warnings(query: str, position: int, words: str) -> None:
    (notice,) = find_query_warnings(f" {query} ")
    assert notice.position == position
    assert words in notice.message


@pytest.mark.parametrize(
    "query", ["", "abc", "name:x", "http://x", '"stat:x"', "is:failed", "kwargs.a:1", '"or"', ":x"]
)
def test_clear_queries_have_no_warnings(query: str) -> None:
    assert find_query_warnings(query) == []


@pytest.mark.parametrize(
    ("query", "words", "correction"),
    [
        ("status:FAILURE", "did you mean state:?", "state:FAILURE"),
        ("wroker:w1", "did you mean worker:?", "worker:w1"),
        ("state:FAIL", "unknown state 'FAIL': did you mean FAILURE?", "state:FAILURE"),
        ("state:failed", "did you mean FAILURE?", "state:FAILURE"),
        ("state:SUCCESS,done", "unknown state 'done': did you mean SUCCESS?", "state:SUCCESS,SUCCESS"),
        ("-state:running", "did you mean STARTED?", "state:STARTED"),
        ("state:XYZ", "valid: PENDING, RECEIVED, STARTED", ""),
        ("runtime>2", "did you mean runtime:>2?", "runtime:>2"),
        ("retries>=3", "did you mean retries:>=3?", "retries:>=3"),
        ("state=FAILURE", "did you mean state:FAILURE?", "state:FAILURE"),
        ("kwargs.total>3", "did you mean kwargs.total:>3?", "kwargs.total:>3"),
        ("source:nonsense", "unknown source 'nonsense': valid: worker, result_backend, broker", ""),
        ("source:workr", "did you mean worker?", "source:worker"),
        ("lost:foo", "unknown reason 'foo': valid: worker_offline", ""),
        ("a or b", "the operator is OR", "OR"),
    ],
)
def test_a_mistake_is_reported_with_its_correction(query: str, words: str, correction: str) -> None:
    (warning,) = find_query_warnings(query)
    assert words in warning.message
    assert warning.correction == correction
    corrected = query[: warning.position] + (correction or "x") + query[warning.position :].partition(" ")[1]
    parse_search(corrected + "b" if corrected.endswith(" ") else corrected if correction != "OR" else "a OR b")
    if correction and correction != "OR":
        assert find_query_warnings(correction) == []


@pytest.mark.parametrize(
    "query",
    [
        "state:failure", "state:FAIL*", "state:PROGRESS", "source:worker", "lost:worker_offline", "a<b", '"runtime>2"',
        "x=1", "kwargs:order_id=17", "state:=SUCCESS",
    ],
)  # fmt: skip
def test_a_known_value_or_text_has_no_warning(query: str) -> None:
    assert find_query_warnings(query) == []


def test_reasons_are_those_of_records() -> None:
    for reason in LostReason.__args__:  # type: ignore[attr-defined]
        assert find_query_warnings(f"lost:{reason}") == []
