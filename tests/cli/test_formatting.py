"""Formatting of values for a terminal."""

import pytest

from flower.cli.formatting import format_rate, format_size


@pytest.mark.parametrize(
    ("per_second", "text"),
    [
        (0, "0/s"),
        (12.34, "12.3/s"),
        (1234.5, "1,234/s"),
        (0.1, "0.1/s"),
        (0.00183, "0.11/min"),
        (0.02, "1.2/min"),
        (1.16e-05, "0.042/h"),
    ],
)
def test_a_rate_has_the_unit_that_shows_a_number(per_second: float, text: str) -> None:
    assert format_rate(per_second) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (812, "812 B"), (8_100, "8.1 kB"), (2_200_000, "2.2 MB"), (1_204_000_000, "1,204.0 MB")],
)
def test_a_size_is_never_rounded_to_nothing(size: int, text: str) -> None:
    assert format_size(size) == text
