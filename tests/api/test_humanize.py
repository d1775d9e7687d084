"""`flower.utils.template`: the texts of Flower 2.2."""

import time
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flower.utils.template import format_count, format_duration, format_time, humanize

MOMENT = 1_700_000_000.25


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((None,), ""),
        (("received_at",), "Received at"),
        (("task-uuid",), "Task UUID"),
        (("ssl_url",), "SSL URL"),
        (("args",), "args"),
        (("",), ""),
        (("e1a2b3c4-0000-1111-2222-333344445555",), "e1a2b3c4-0000-1111-2222-333344445555"),
        (([1, 2.5, "x"],), "1, 2.5, x"),
        (([1, {}],), [1, {}]),
        ((7,), 7),
        (({"a": 1},), {"a": 1}),
        ((0.01234, "duration"), "12.34 ms"),
        ((MOMENT, "time"), "2023-11-14 22:13:20.250000 UTC"),
        ((str(MOMENT), "time"), "2023-11-14 22:13:20.250000 UTC"),
        ((0, "time"), ""),
        ((MOMENT, "time-Europe/Vienna"), "2023-11-14 23:13:20.250000 CET"),
        ((MOMENT, "natural-time"), "2023-11-14 22:13:20.250000 UTC"),
        ((0, "natural-time-Asia/Tokyo"), ""),
    ],
)
def test_humanize(arguments: tuple[Any, ...], expected: Any) -> None:
    assert humanize(*arguments) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.2, "now"), (1.5, "a second ago"), (45.5, "45 seconds ago"), (61, "a minute ago"), (330, "5 minutes ago"),
        (3700, "an hour ago"), (86_000, "23 hours ago"), (-3700, "an hour from now"), (-200_000, "2 days from now"),
    ],
)  # fmt: skip
def test_natural_time(seconds: float, expected: str) -> None:
    assert humanize(time.time() - seconds, "natural-time") == expected


def test_length() -> None:
    assert humanize("(1, 2, 3, 4)", length=10) == "(1, 2, ..."
    assert humanize("(1, 2)", length=10) == "(1, 2)"
    assert humanize([1] * 20, length=10) == "1, 1, 1, ..."[:6] + " ..."
    assert humanize(None, length=3) == ""


def test_formats() -> None:
    assert format_time(MOMENT, UTC) == "2023-11-14 22:13:20.250000 UTC"
    assert format_time(MOMENT, ZoneInfo("Asia/Tokyo")) == "2023-11-15 07:13:20.250000 JST"
    assert [format_duration(seconds) for seconds in (0.5, 1.239, 59.9, 125, 3723)] == [
        "500.00 ms", "1.24 s", "59.90 s", "2m 05s", "1h 02m 03s",
    ]  # fmt: skip
    assert [format_count(value) for value in (None, 0, 1234.9, 1_000_000)] == ["0", "0", "1,234", "1,000,000"]
