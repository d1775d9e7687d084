"""Numbers and durations as people write them."""

import math
import re
from typing import Final

#: Seconds. Milliseconds are divided, so that 100ms is the float 0.1.
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
UNITS: Final = ("ms", *_UNIT_SECONDS)

_NUMBER = re.compile(r"[+-]?\d{1,300}(?:\.\d{1,300})?(?:e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_PART = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(ms|s|m|h|d|w)", re.ASCII | re.IGNORECASE)
_DURATION = re.compile(rf"([+-]?)((?:{_PART.pattern})+)", re.ASCII | re.IGNORECASE)


def parse_number(text: str) -> float:
    """Raises ValueError for what is no finite number."""
    value = float(text) if _NUMBER.fullmatch(text.strip()) else math.inf
    if not math.isfinite(value):
        raise ValueError("not a number")
    return value


def parse_duration(text: str) -> float:
    """Seconds: `1.5s`, `100ms`, `1h30m`, `2d`; a bare number is seconds. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        return parse_number(text)
    seconds = sum(_part_seconds(amount, unit.casefold()) for amount, unit in _PART.findall(found[2]))
    return -seconds if found[1] == "-" else seconds


def _part_seconds(amount: str, unit: str) -> float:
    return float(amount) / 1000 if unit == "ms" else float(amount) * _UNIT_SECONDS[unit]


def format_number(value: float) -> str:
    """The shortest text that `number` reads as this value."""
    return repr(float(value)).removesuffix(".0")
