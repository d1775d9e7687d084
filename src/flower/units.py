"""Parsers of numbers, durations and sizes, for the search language, the options and the command line."""

import math
import re
from typing import Final

MEBIBYTE: Final = 2**20

#: Seconds. Milliseconds are divided, so that 100ms is the float 0.1.
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_UNIT_PATTERN: Final = r"ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?|y|years?"
#: Bytes, by the prefix of the unit.
_SIZE_FACTORS: Final = {
    "": 1,
    "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15,
    "kilo": 10**3, "mega": 10**6, "giga": 10**9, "tera": 10**12, "peta": 10**15,
    "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40, "pi": 2**50,
    "kibi": 2**10, "mebi": 2**20, "gibi": 2**30, "tebi": 2**40, "pebi": 2**50,
}  # fmt: skip

_NUMBER = re.compile(r"[+-]?\d{1,300}(?:\.\d{1,300})?(?:e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_PART = re.compile(rf"(\d{{1,15}}(?:\.\d{{1,15}})?)\s?({_UNIT_PATTERN})(?![a-z])\s?", re.ASCII | re.IGNORECASE)
_DURATION = re.compile(rf"([+-]?)((?:{_PART.pattern})+)", re.ASCII | re.IGNORECASE)
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s?([a-z]*)", re.ASCII | re.IGNORECASE)


def parse_number(text: str) -> float:
    """A finite number. Raises ValueError."""
    value = float(text) if _NUMBER.fullmatch(text.strip()) else math.inf
    if not math.isfinite(value):
        raise ValueError("not a number")
    return value


def parse_duration(text: str) -> float:
    """Seconds: `1.5s`, `100ms`, `1h30m`, `2d`, `5 minutes`. A number without a unit is seconds. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        return parse_number(text)
    seconds = sum(_to_seconds(amount, unit.casefold()) for amount, unit in _PART.findall(match[2]))
    return -seconds if match[1] == "-" else seconds


def _to_seconds(amount: str, unit: str) -> float:
    if unit.startswith(("ms", "mil")):
        return float(amount) / 1000
    return float(amount) * _UNIT_SECONDS[unit[0]]


def parse_size(text: str) -> int:
    """Bytes: `500000`, `500MB` (decimal), `512MiB` (binary), `10 gigabytes`. Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError("not a size")
    return int(float(match[1]) * _size_factor(match[2].casefold()))


def _size_factor(unit: str) -> int:
    stem = unit.removesuffix("s").removesuffix("byte") if "byte" in unit else unit.removesuffix("b")
    factor = _SIZE_FACTORS.get(stem)
    if factor is None:
        raise ValueError("not a size")
    return factor


def format_number(value: float) -> str:
    """The shortest text that `parse_number` reads as this value."""
    return repr(float(value)).removesuffix(".0")
