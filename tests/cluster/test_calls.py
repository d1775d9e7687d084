"""Task calls are validated before anything is sent."""

from datetime import datetime
from typing import Any

import pytest

from flower.cluster.calls import build_call, parse_rate_limit, parse_seconds
from flower.errors import InvalidRequest


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"args": "text"}, "args must be an array"),
        ({"args": {"a": 1}}, "args must be an array"),
        ({"kwargs": [1]}, "kwargs must be an object"),
        ({"kwargs": {1: 2}}, "kwargs must be an object"),
        ({"options": {"timeout": "soon"}}, "Invalid timeout"),
        ({"options": {"timeout": -1}}, "Invalid timeout"),
        ({"options": {"timeout": True}}, "Invalid timeout"),
        ({"options": {"timeout": float("nan")}}, "Invalid timeout"),
        ({"options": {"countdown": "soon"}}, "Invalid option"),
        ({"options": {"countdown": []}}, "Invalid option"),
        ({"options": {"eta": "tomorrow"}}, "Invalid option"),
        ({"options": {"eta": 5}}, "Invalid option"),
        ({"options": {"expires": "never"}}, "Invalid option"),
        ({"options": {"expires": float("inf")}}, "Invalid option"),
        ({"options": {"producer": 1, "connection": 2}}, "Invalid option"),
    ],
)
def test_invalid_calls(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build_call("shop.add", **given)
    assert caught.value.message == message


@pytest.mark.parametrize("name", ["", None, 5])
def test_name_must_be_a_string(name: Any) -> None:
    with pytest.raises(InvalidRequest, match="name"):
        build_call(name)


def test_dates_and_numbers_are_converted() -> None:
    when = datetime(2026, 11, 22, 14, 30, 0, 500_000)
    task_call = build_call(
        "x", (1, 2), {"a": 1}, {"eta": "2026-11-22 14:30:00.500000", "countdown": "1.5", "expires": "60"}
    )
    assert (task_call.args, task_call.kwargs) == ([1, 2], {"a": 1})
    assert task_call.options == {"eta": when, "countdown": 1.5, "expires": 60.0}
    assert build_call("x", options={"expires": "2026-11-22 14:30:00.5"}).options == {"expires": when}
    assert build_call("x", options={"eta": when}).options == {"eta": when}
    assert build_call("x", options={"eta": "2026-11-22T14:30:00+02:00"}).options["eta"].utcoffset() is not None
    assert build_call("x", options={"eta": "2026-1-2 3:4:5.6"}).options["eta"] == datetime(2026, 1, 2, 3, 4, 5, 600_000)


def test_none_means_not_given() -> None:
    assert build_call(
        "x", None, None, {"expires": None, "eta": None, "queue": None, "timeout": None, "priority": 3}
    ) == build_call("x", [], {}, {"priority": 3})


@pytest.mark.parametrize("given", ["200", "10/s", "90/m", "5/h", "0.5/m", 7, 0])
def test_rate_limits(given: Any) -> None:
    assert parse_rate_limit(given) == str(given)


@pytest.mark.parametrize("given", ["", "fast", "-5/s", "10/d", "10 / s", "nan", "inf", None, True, "1e3/s"])
def test_invalid_rate_limits(given: Any) -> None:
    with pytest.raises(InvalidRequest, match="Invalid rate limit string"):
        parse_rate_limit(given)


def test_seconds() -> None:
    assert parse_seconds(None, "x") is None
    assert parse_seconds("2.5", "x") == 2.5
    with pytest.raises(InvalidRequest, match="no"):
        parse_seconds(-1, "no")
