"""The results: a measurement is one quantity of both systems, and optionally the target that it has to reach."""

import math
import operator
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """A value, its minimum and maximum, and the raw values behind it."""

    value: float
    low: float
    high: float
    raw: Sequence[float] = ()


def median_sample(raw: Sequence[float]) -> Sample:
    """The median."""
    return Sample(statistics.median(raw), min(raw), max(raw), raw)


def single_sample(value: float) -> Sample:
    return Sample(value, value, value)


def percentile(sorted_values: Sequence[float], percent: int) -> float:
    """The value that `percent` percent of the values do not exceed, by nearest rank."""
    return sorted_values[math.ceil(len(sorted_values) * percent / 100) - 1]


def p95_sample(raw: Sequence[float]) -> Sample:
    """The 95th percentile."""
    sorted_values = sorted(raw)
    return Sample(percentile(sorted_values, 95), sorted_values[0], sorted_values[-1], raw)


@dataclass(frozen=True, slots=True)
class Target:
    """What Bellflower has to reach: by its own value, by the ratio Bellflower : Flower, or by the inverse of that
    ("faster": how many times faster, where the values are durations)."""

    kind: str  # "value", "ratio" or "faster"
    sign: str  # ">=" or "<="
    limit: float

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}{'' if self.kind == 'value' else ' ×'}"

    def is_met(self, measurement: "Measurement") -> bool | None:
        """None: not measured."""
        measured = measurement.value("bellflower") if self.kind == "value" else measurement.compared_value
        return None if measured is None else _SIGNS[self.sign](measured, self.limit)


_SIGNS: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True, slots=True)
class Measurement:
    """`samples` are keyed by the name of the system. `note` is the last cell of the table; `more` goes to the JSON file
    only."""

    name: str
    unit: str
    samples: Mapping[str, Sample]
    target: Target | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def value(self, system: str) -> float | None:
        return self.samples[system].value if system in self.samples else None

    @property
    def ratio(self) -> float | None:
        """Bellflower : Flower."""
        bellflower, flower = self.value("bellflower"), self.value("flower")
        return bellflower / flower if bellflower is not None and flower else None

    @property
    def compared_value(self) -> float | None:
        """The ratio, or Flower : Bellflower where the target is a speedup."""
        if self.target is None or self.target.kind != "faster":
            return self.ratio
        bellflower, flower = self.value("bellflower"), self.value("flower")
        return flower / bellflower if bellflower and flower is not None else None

    @property
    def met(self) -> bool | None:
        return self.target.is_met(self) if self.target else None

    def as_dict(self) -> dict[str, Any]:
        target = {"target": str(self.target), "met": self.met} if self.target else {}
        return {**asdict(self), "ratio": self.ratio, "compared": self.compared_value, **target}
