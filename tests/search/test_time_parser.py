"""Tests of `search.time_parser`: relative times, named days and intervals."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from flower.search.time_parser import TimeContext, parse_moment, parse_time_span

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC).timestamp()
CONTEXT = TimeContext(NOW, UTC)


@pytest.mark.parametrize(
    ("text", "offset"),
    [("now", 0), ("-1h", -3600), ("+1h", 3600), ("+1h30m", 5400), (" +2D ", 172_800), ("-100ms", -0.1)],
)
def test_relative_time(text: str, offset: float) -> None:
    assert parse_moment(text, CONTEXT) == pytest.approx(NOW + offset)


@pytest.mark.parametrize("text", ["tomorrow", "2026-11-22", "1h", "+1", "-", "", "+-1h"])
def test_other_text_is_not_a_relative_time(text: str) -> None:
    assert parse_moment(text, CONTEXT) is None


@pytest.mark.parametrize("text", ["+1x", "-1hour2", "+1..2h"])
def test_invalid_relative_time(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        parse_moment(text, CONTEXT)


@pytest.mark.parametrize(("day", "offset"), [("yesterday", -1), ("today", 0), ("Tomorrow", 1)])
def test_named_day(day: str, offset: int) -> None:
    start, end = parse_time_span(day, CONTEXT)
    assert start == datetime(2026, 11, 22 + offset, tzinfo=UTC).timestamp()
    assert end == pytest.approx(start + 86_400)


def test_tomorrow_follows_the_time_zone() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before_change = datetime(2026, 10, 24, 12, tzinfo=berlin)
    start, end = parse_time_span("tomorrow", TimeContext(before_change.timestamp(), berlin))
    assert start == datetime(2026, 10, 25, tzinfo=berlin).timestamp()
    assert end - start == pytest.approx(25 * 3600)
