"""One module for each thing that is measured. `STEPS` is all of them in the order in which they are run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from bench.bench import Bench
from bench.feed import FORMS, Form
from bench.figures import Figure
from bench.measures.beside import beside
from bench.measures.crash import crash
from bench.measures.flood import flood
from bench.measures.ingest import ingest
from bench.measures.large import large
from bench.measures.live import live
from bench.measures.metrics import metrics
from bench.measures.queries import queries
from bench.measures.start import start
from bench.measures.throughput import throughput


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    run: Callable[[Bench], Iterable[Figure]]
    #: "always", "full" (not with --quick), or "asked" (only when it is named)
    when: str = "full"
    #: Shows nothing of Flower.
    alone: bool = False


def _with_form(measure: Callable[..., Iterable[Figure]], form: Form, when: str) -> Step:
    return Step(f"{measure.__name__}-{form.label}", partial(measure, form=form), when)


STEPS: tuple[Step, ...] = (
    Step("start", start, "always"),
    *(_with_form(throughput, form, "always") for form in FORMS),
    *(_with_form(flood, form, "asked" if form.batched else "always") for form in FORMS),
    *(_with_form(crash, form, "full") for form in FORMS if form.batched),
    Step("queries-beside-flower", beside, "always"),
    Step("metrics", metrics, "always"),
    Step("live", live, "full", alone=True),
    Step("queries-alone", queries, "always", alone=True),
    Step("large", large, "full", alone=True),
    Step("ingest", ingest, "asked", alone=True),
)
