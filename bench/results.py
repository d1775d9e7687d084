"""What was measured: a figure is one quantity of both systems, and perhaps the bar it has to clear."""

import math
import operator
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """One number, the least and the greatest of what it stands for, and what it was made of."""

    value: float
    low: float
    high: float
    raw: Sequence[float] = ()


def middle(raw: Sequence[float]) -> Sample:
    """The median of several."""
    return Sample(statistics.median(raw), min(raw), max(raw), raw)


def single(value: float) -> Sample:
    return Sample(value, value, value)


def percentile(rising: Sequence[float], percent: int) -> float:
    """The value that so many of a hundred do not exceed, by nearest rank."""
    return rising[math.ceil(len(rising) * percent / 100) - 1]


def slow_end(raw: Sequence[float]) -> Sample:
    """The 95th percentile of many."""
    rising = sorted(raw)
    return Sample(percentile(rising, 95), rising[0], rising[-1], raw)


@dataclass(frozen=True, slots=True)
class Bar:
    """What Bellflower wants to reach: `of` is its own value, the ratio Bellflower : Flower, or the inverse of that
    ("faster": how many times faster, where the values are times)."""

    of: str  # "value", "ratio" or "faster"
    sign: str  # ">=" or "<="
    limit: float

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}{'' if self.of == 'value' else ' ×'}"

    def is_met(self, figure: "Figure") -> bool | None:
        """None if it was not measured."""
        measured = figure.value("bellflower") if self.of == "value" else figure.compared
        return None if measured is None else _SIGNS[self.sign](measured, self.limit)


_SIGNS: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True, slots=True)
class Figure:
    """`samples` are by name of the system. `note` ends its line in the table; `more` is for the file only."""

    name: str
    unit: str
    samples: Mapping[str, Sample]
    bar: Bar | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def value(self, system: str) -> float | None:
        return self.samples[system].value if system in self.samples else None

    @property
    def ratio(self) -> float | None:
        """Bellflower : Flower."""
        ours, theirs = self.value("bellflower"), self.value("flower")
        return ours / theirs if ours is not None and theirs else None

    @property
    def compared(self) -> float | None:
        """The ratio, or Flower : Bellflower where the bar is about being faster."""
        if self.bar is None or self.bar.of != "faster":
            return self.ratio
        ours, theirs = self.value("bellflower"), self.value("flower")
        return theirs / ours if ours and theirs is not None else None

    @property
    def met(self) -> bool | None:
        return self.bar.is_met(self) if self.bar else None

    def as_dict(self) -> dict[str, Any]:
        bar = {"bar": str(self.bar), "met": self.met} if self.bar else {}
        return {**asdict(self), "ratio": self.ratio, **bar}
