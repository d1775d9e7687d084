"""Tests of `units`: numbers, durations and sizes."""

import pytest

from flower.units import format_number, parse_duration, parse_number, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("1.5s", 1.5),
        ("100ms", 0.1),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("15m", 900),
        ("2D", 172_800),
        ("1w", 604_800),
        ("1 year", 31_536_000),
        ("5 minutes", 300),
        ("10 milliseconds", 0.01),
        ("3 secs", 3),
        ("-1h30m", -5400),
        ("+2h", 7200),
        ("1e3", 1000),
    ],
)
def test_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1x", "1 fortnight", "1months", "5  minutes", "1h-30m", "inf", "٣s"])
def test_invalid_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500000", 500_000),
        ("13b", 13),
        ("5 bytes", 5),
        ("500MB", 500_000_000),
        ("1 k", 1000),
        ("1.5 GB", 1_500_000_000),
        ("512MiB", 512 * 1024**2),
        ("10 gigabytes", 10**10),
        ("1 kibibyte", 1024),
        ("2TB", 2 * 10**12),
    ],
)
def test_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "1 XB", "-1", "1 megabits", "1 MB 2"])
def test_invalid_size(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize("value", [0.0, 1.0, -1.5, 0.1, 1e300, 123456789.0])
def test_format_number_is_the_inverse_of_parse_number(value: float) -> None:
    assert parse_number(format_number(value)) == value
