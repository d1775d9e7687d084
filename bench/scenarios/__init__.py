"""One module for each thing that is measured. `STEPS` is all of them in the order in which they are run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from bench.event_feed import FORMS, Form
from bench.results import Figure
from bench.runner import Bench
from bench.scenarios.burst import burst
from bench.scenarios.compare_queries import compare_queries
from bench.scenarios.ingest import ingest
from bench.scenarios.kill9 import kill9
from bench.scenarios.large_store import large_store
from bench.scenarios.live import live
from bench.scenarios.metrics import metrics
from bench.scenarios.queries import queries
from bench.scenarios.start import start
from bench.scenarios.throughput import throughput


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
    *(_with_form(burst, form, "asked" if form.batched else "always") for form in FORMS),
    *(_with_form(kill9, form, "full") for form in FORMS if form.batched),
    Step("compare-queries", compare_queries, "always"),
    Step("metrics", metrics, "always"),
    Step("live", live, "full", alone=True),
    Step("queries-alone", queries, "always", alone=True),
    Step("large-store", large_store, "full", alone=True),
    Step("ingest", ingest, "asked", alone=True),
)
