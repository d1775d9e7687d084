"""One module for each scenario. `STEPS` lists the steps of a run in order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from bench.event_feed import TRANSPORTS, Transport
from bench.results import Measurement
from bench.runner import BenchmarkRun
from bench.scenarios.burst import burst
from bench.scenarios.compare_queries import compare_queries
from bench.scenarios.connections import connections
from bench.scenarios.ingest import ingest
from bench.scenarios.kill9 import kill9
from bench.scenarios.large_store import large_store, paging
from bench.scenarios.live import live
from bench.scenarios.live_page import live_page
from bench.scenarios.memory import memory
from bench.scenarios.metrics import metrics
from bench.scenarios.queries import queries
from bench.scenarios.reconciliation import reconciliation
from bench.scenarios.scripts import scripts
from bench.scenarios.start import start
from bench.scenarios.throughput import throughput
from bench.scenarios.visibility import visibility, visibility_under_load
from bench.scenarios.worker_list import worker_list


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    run: Callable[[BenchmarkRun], Iterable[Measurement]]
    #: "always", "full" (not with --quick), or "on request" (only with --only)
    when: str = "full"
    #: measures Bellflower only
    alone: bool = False


def _with_transport(measure: Callable[..., Iterable[Measurement]], transport: Transport, when: str) -> Step:
    return Step(f"{measure.__name__}-{transport.label}", partial(measure, transport=transport), when)


STEPS: tuple[Step, ...] = (
    Step("start", start, "always"),
    Step("memory", memory, "full"),
    *(_with_transport(throughput, transport, "always") for transport in TRANSPORTS),
    Step("compare-queries", compare_queries, "always"),
    Step("visibility", visibility, "always"),
    Step("visibility-under-load", visibility_under_load, "always"),
    Step("live-page", live_page, "full", alone=True),
    Step("scripts", scripts, "full", alone=True),
    Step("queries-alone", queries, "always", alone=True),
    Step("large-store", large_store, "full", alone=True),
    *(_with_transport(burst, transport, "on request") for transport in TRANSPORTS),
    *(_with_transport(kill9, transport, "on request") for transport in TRANSPORTS if transport.batched),
    Step("metrics", metrics, "on request"),
    Step("worker-list", worker_list, "on request"),
    Step("live", live, "on request", alone=True),
    Step("paging", paging, "on request", alone=True),
    Step("reconciliation", reconciliation, "on request", alone=True),
    Step("connections", connections, "on request", alone=True),
    Step("ingest", ingest, "on request", alone=True),
)
