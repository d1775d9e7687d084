"""Requests that no cache answers: the first count, facets and page of a word that many tasks contain or of a phrase,
and the first rows of the tasks page in a browser without a cache."""

import random
from collections.abc import Iterator

from playwright.sync_api import Page

from bench import search_mix
from bench.dataset import COMMON_TERMS
from bench.http_timing import time_request
from bench.query_mix import DAY, PAGE, Request
from bench.results import Measurement, Sample, Target, median_sample, p95_sample
from bench.systems_under_test import SystemProcess
from bench.visibility_check import HttpClient
from tests.helpers.browser import WIDE, open_browser
from tests.helpers.servers import wait_for

#: Words or phrases of each kind of request.
SEARCHES = 6
SEARCH_TARGET = Target("value", "<=", 100)
#: Visits of the page.
VISITS = 7
ROWS_TARGET = Target("value", "<=", 0.4)

#: Records the milliseconds from the navigation to the end of the frame with the first row.
OBSERVE_FIRST_ROW = """new MutationObserver((changes, observer) => {
  if (!document.querySelector('.gr[data-id]')) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.firstRow = performance.now(); }));
}).observe(document, { childList: true, subtree: true });"""


def measure_first_searches(client: HttpClient, label: str, rng: random.Random) -> Iterator[Measurement]:
    """Each request has another word or phrase, which was not searched before. Raises RuntimeError after a wrong
    response."""
    words = iter(rng.sample(sorted(set(COMMON_TERMS)), 2 * SEARCHES))
    phrases = iter([search_mix.phrase(rng) for _ in range(SEARCHES)])
    kinds: dict[str, tuple[str, dict[str, object], Iterator[str]]] = {
        "count of a common word": ("/api/v1/count", {}, words),
        "facets of a common word": ("/api/v1/facets", {"facets": "state,name,worker,queue,exception"}, words),
        "page of a phrase": ("/api/v1/tasks", {"limit": PAGE}, phrases),
    }
    for kind, (path, parameters, texts) in kinds.items():
        times = []
        for _ in range(SEARCHES):
            query = f"received:>{DAY} {next(texts)}"
            response = time_request(client, Request(path, {**parameters, "query": query}))
            if response.error is not None:
                raise RuntimeError(f"{path} {query!r}: {response.error}")
            times.append(response.milliseconds)
        yield Measurement(
            f"{label}: first {kind}", "p95 ms", {"bellflower": p95_sample(times)}, SEARCH_TARGET, {"ms": times}
        )


def measure_first_rows(running: SystemProcess) -> Sample:
    """Seconds from the navigation to the first rows of the tasks page: the median of visits in new browser contexts."""
    times = []
    with open_browser() as browser:
        for _ in range(VISITS):
            with browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]}) as context:
                times.append(_time_first_row(context.new_page(), running.port))
    # the first visit starts the processes of the browser
    return median_sample(times[1:])


def _time_first_row(page: Page, port: int) -> float:
    page.add_init_script(OBSERVE_FIRST_ROW)
    page.goto(f"http://127.0.0.1:{port}/tasks")
    # the policy of the page forbids `wait_for_function`
    wait_for("the first row", lambda: page.evaluate("window.firstRow"))
    return float(page.evaluate("window.firstRow")) / 1000
