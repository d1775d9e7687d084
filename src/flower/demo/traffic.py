"""Traffic of the demo: `python -m flower.demo.traffic --rate 5` sends tasks until it is stopped.

The traffic is a table of scenarios. Each is played once, in order, so that after half a minute there is an example of
everything; afterwards they are chosen at random by weight.
"""

import argparse
import heapq
import itertools
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from celery import chain, chord, group
from celery.result import AsyncResult

from flower.demo import shop

CUSTOMERS = ("ada", "björn", "chiara", "dmitri", "élodie", "fatima", "grace", "hiroshi", "ines", "joão")
ARTICLES = ("bell", "bulb", "seed", "pot")
WEBHOOKS = ("https://partner.example/hook", "https://unsteady.example/hook", "https://unreachable.example/hook")
#: Kombu's Redis transport serves 0 first and 9 last.
URGENT, BULK = 0, 9
#: Seconds to wait for a task to start before it is terminated regardless.
START_TIMEOUT = 60.0


class ScenarioContext:
    """Random values and scheduled actions for scenarios."""

    def __init__(self, seed: int | None) -> None:
        self.random = random.Random(seed)  # noqa: S311  (customers, not secrets)
        self.orders = itertools.count(1001)
        self._scheduled: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = itertools.count()

    def schedule(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._scheduled, (time.monotonic() + seconds, next(self._sequence), action))

    def run_due(self, until: float, stop: threading.Event) -> None:
        """Run the actions that are due before `until` (monotonic clock), and wait until then."""
        while not stop.is_set():
            while self._scheduled and self._scheduled[0][0] <= time.monotonic():
                heapq.heappop(self._scheduled)[2]()
            if time.monotonic() >= until:
                return
            following = min(until, self._scheduled[0][0]) if self._scheduled else until
            stop.wait(max(following - time.monotonic(), 0.0))

    def run_all(self, stop: threading.Event) -> None:
        """Run all scheduled actions."""
        while self._scheduled and not stop.is_set():
            self.run_due(self._scheduled[0][0], stop)

    def random_address(self, domain: str = "post.example") -> str:
        return f"{self.random.choice(CUSTOMERS)}@{domain}"

    def random_basket(self) -> dict[str, int]:
        articles = self.random.sample(ARTICLES, self.random.randint(1, 3))
        return {article: self.random.randint(1, 9) for article in articles}


def place_order(desk: ScenarioContext, card: str = "4242", basket: dict[str, int] | None = None) -> None:
    customer = desk.random_address("slow.example" if desk.random.random() < 0.1 else "post.example")
    number = next(desk.orders)
    steps = chain(
        shop.take_order.s(number, customer, basket or desk.random_basket(), f"card ending in {card}"),
        shop.charge_card.s(),
        shop.reserve_stock.s(),
        shop.render_invoice.s(),
        shop.send_mail.s(customer, f"Your order {number}"),
    )
    steps.apply_async(link_error=shop.order_failed.s(customer=customer))


def place_declined_order(desk: ScenarioContext) -> None:
    place_order(desk, card=desk.random.choice(("0002", "0069")))


def place_sold_out_order(desk: ScenarioContext) -> None:
    place_order(desk, basket={"bulb": desk.random.randint(20, 99)})


def make_gallery(desk: ScenarioContext, suffix: str = "jpg") -> None:
    article = desk.random.choice(ARTICLES)
    path = f"/srv/pictures/{article}/{desk.random.randint(1, 999):03}.{suffix}"
    chord((shop.resize_image.s(path, width) for width in (160, 640, 1920)), shop.publish_gallery.s(article)).delay()


def make_broken_gallery(desk: ScenarioContext) -> None:
    make_gallery(desk, suffix="tiff")


def send_newsletter(desk: ScenarioContext) -> None:
    domains = ("post.example", "post.example", "slow.example", "post.example", "dead.example")
    mails = [shop.send_mail.s(None, desk.random_address(domain), "What grows in spring") for domain in domains]
    group(mails).apply_async(priority=BULK)


def import_catalog(desk: ScenarioContext) -> None:
    supplier = desk.random.choice(("Botanica", "Glocken & Söhne", "根岸園芸"))
    shop.import_catalogue.delay(supplier, rows=desk.random.randint(100, 5000))


def send_webhook(desk: ScenarioContext) -> None:
    url = desk.random.choices(WEBHOOKS, (8, 2, 1))[0]
    shop.call_webhook.apply_async((url, "order.paid", {"order": next(desk.orders)}), priority=URGENT)


def send_unsteady_webhook(desk: ScenarioContext) -> None:
    shop.call_webhook.delay(WEBHOOKS[1], "order.shipped", {"order": next(desk.orders)})


def start_day(_desk: ScenarioContext) -> None:
    shop.open_day.delay(["north", "harbour", "closed"])


def run_report(desk: ScenarioContext) -> None:
    shop.nightly_report.delay(_day(desk))


def run_cancelled_report(desk: ScenarioContext) -> None:
    """Scheduled, and revoked while it waits on the worker."""
    waiting = shop.nightly_report.apply_async((_day(desk),), countdown=4)
    desk.schedule(1.5, waiting.revoke)


def run_expired_report(desk: ScenarioContext) -> None:
    """Expires before it can start."""
    shop.nightly_report.apply_async((_day(desk),), countdown=2, expires=1)


def run_stopped_report(desk: ScenarioContext) -> None:
    """Runs far too long, and is terminated."""
    running = shop.nightly_report.delay(_day(desk), minutes=10)
    give_up = time.monotonic() + START_TIMEOUT

    def stop_when_running() -> None:
        if is_started(running) or time.monotonic() > give_up:
            running.revoke(terminate=True)
        else:
            desk.schedule(0.3, stop_when_running)

    desk.schedule(1.0, stop_when_running)


def is_started(result: "AsyncResult[Any]") -> bool:
    return bool(result.state == "STARTED")


def _day(desk: ScenarioContext) -> str:
    return f"2026-{desk.random.randint(1, 12):02}-{desk.random.randint(1, 28):02}"


@dataclass(frozen=True)
class Scenario:
    """`tasks` is the number of tasks without retries; `pause` is the minimum number of seconds until it is played
    again: slow scenarios stay rare at any rate."""

    play: Callable[..., None]
    tasks: int
    weight: int
    pause: float = 0.0


SCENARIOS = (
    Scenario(place_order, tasks=5, weight=30),
    Scenario(send_unsteady_webhook, tasks=1, weight=2),
    Scenario(make_gallery, tasks=4, weight=8),
    Scenario(place_declined_order, tasks=4, weight=4),
    Scenario(run_cancelled_report, tasks=1, weight=2, pause=20),
    Scenario(import_catalog, tasks=1, weight=3, pause=3),
    Scenario(send_newsletter, tasks=5, weight=5),
    Scenario(run_stopped_report, tasks=1, weight=2, pause=20),
    Scenario(place_sold_out_order, tasks=5, weight=2),
    Scenario(make_broken_gallery, tasks=3, weight=2),
    Scenario(start_day, tasks=4, weight=3),
    Scenario(run_expired_report, tasks=1, weight=2, pause=20),
    Scenario(run_report, tasks=1, weight=2, pause=20),
    Scenario(send_webhook, tasks=1, weight=20),
)


def scenario_sequence(rng: random.Random, tasks: int | None) -> Iterator[Scenario]:
    """The order of scenarios: all of them once, then by weight; at most `tasks` tasks in total."""
    left = float("inf") if tasks is None else tasks
    played: dict[Scenario, float] = {}
    opening = iter(SCENARIOS)
    while left > 0:
        scenario = next(opening, None) or _choose_scenario(rng, played, left)
        if scenario.tasks > left:
            continue
        played[scenario] = time.monotonic()
        left -= scenario.tasks
        yield scenario


def _choose_scenario(rng: random.Random, played: dict[Scenario, float], left: float) -> Scenario:
    now = time.monotonic()
    possible = [s for s in SCENARIOS if s.tasks <= left and now - played.get(s, 0.0) >= s.pause]
    return rng.choices(possible, [s.weight for s in possible])[0]


def run_traffic(tasks: int | None, rate: float, seed: int | None, stop: threading.Event) -> None:
    """Send `rate` tasks per second; return when `tasks` are sent and all scheduled actions have run."""
    desk = ScenarioContext(seed)
    due = time.monotonic()
    for scenario in scenario_sequence(desk.random, tasks):
        scenario.play(desk)
        due += scenario.tasks / rate
        desk.run_due(due, stop)
        if stop.is_set():
            return
    desk.run_all(stop)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int)
    parser.add_argument("--rate", type=float, default=5.0)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    run_traffic(options.tasks, options.rate, options.seed, stop)


if __name__ == "__main__":
    main()
