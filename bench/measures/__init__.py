"""One module for each thing that is measured. `STEPS` is all of them in the order in which they are run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from bench.bench import Bench
from bench.feed import FORMS
from bench.figures import Figure
from bench.measures.crash import crash
from bench.measures.flood import flood
from bench.measures.large import large
from bench.measures.start import start
from bench.measures.throughput import throughput


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    run: Callable[[Bench], Iterable[Figure]]
    #: Takes minutes, and shows nothing of Flower.
    large: bool = False


def _with_form(measure: Callable[..., Iterable[Figure]], index: int) -> Step:
    form = FORMS[index]
    return Step(f"{measure.__name__}-{form.label}", partial(measure, form=form))


STEPS: tuple[Step, ...] = (
    Step("start", start),
    *(_with_form(throughput, index) for index in range(len(FORMS))),
    *(_with_form(flood, index) for index in range(len(FORMS))),
    *(_with_form(crash, index) for index, form in enumerate(FORMS) if form.batched),
    Step("large", large, large=True),
)
