"""The customers of the shop: `python -m flower.demo.traffic --rate 5` sends tasks until told to stop.

What comes in is a table of scenarios. Each is played once, in order, so that a page has something of
everything to show after half a minute; from then on they come by chance and weight.
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
#: How long we wait for a task to start before we give up stopping it, in seconds.
PATIENCE = 60.0


class Desk:
    """Where scenarios get their chances from and leave what is to be done later."""

    def __init__(self, seed: int | None) -> None:
        self.random = random.Random(seed)  # noqa: S311  (customers, not secrets)
        self.orders = itertools.count(1001)
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._order), action))

    def attend(self, until: float, stop: threading.Event) -> None:
        """Do what falls due before `until` (by the monotonic clock), and wait for that moment."""
        while not stop.is_set():
            while self._later and self._later[0][0] <= time.monotonic():
                heapq.heappop(self._later)[2]()
            if time.monotonic() >= until:
                return
            following = min(until, self._later[0][0]) if self._later else until
            stop.wait(max(following - time.monotonic(), 0.0))

    def finish(self, stop: threading.Event) -> None:
        """Do all that was left for later."""
        while self._later and not stop.is_set():
            self.attend(self._later[0][0], stop)

    def mailbox(self, domain: str = "post.example") -> str:
        return f"{self.random.choice(CUSTOMERS)}@{domain}"

    def basket(self) -> dict[str, int]:
        articles = self.random.sample(ARTICLES, self.random.randint(1, 3))
        return {article: self.random.randint(1, 9) for article in articles}


def order(desk: Desk, card: str = "4242", basket: dict[str, int] | None = None) -> None:
    customer = desk.mailbox("slow.example" if desk.random.random() < 0.1 else "post.example")
    number = next(desk.orders)
    steps = chain(
        shop.take_order.s(number, customer, basket or desk.basket(), f"card ending in {card}"),
        shop.charge_card.s(),
        shop.reserve_stock.s(),
        shop.render_invoice.s(),
        shop.send_mail.s(customer, f"Your order {number}"),
    )
    steps.apply_async(link_error=shop.order_failed.s(customer=customer))


def declined(desk: Desk) -> None:
    order(desk, card=desk.random.choice(("0002", "0069")))


def sold_out(desk: Desk) -> None:
    order(desk, basket={"bulb": desk.random.randint(20, 99)})


def gallery(desk: Desk, suffix: str = "jpg") -> None:
    article = desk.random.choice(ARTICLES)
    path = f"/srv/pictures/{article}/{desk.random.randint(1, 999):03}.{suffix}"
    chord((shop.resize_image.s(path, width) for width in (160, 640, 1920)), shop.publish_gallery.s(article)).delay()


def broken_picture(desk: Desk) -> None:
    gallery(desk, suffix="tiff")


def newsletter(desk: Desk) -> None:
    domains = ("post.example", "post.example", "slow.example", "post.example", "dead.example")
    mails = [shop.send_mail.s(None, desk.mailbox(domain), "What grows in spring") for domain in domains]
    group(mails).apply_async(priority=BULK)


def catalogue(desk: Desk) -> None:
    supplier = desk.random.choice(("Botanica", "Glocken & Söhne", "根岸園芸"))
    shop.import_catalogue.delay(supplier, rows=desk.random.randint(100, 5000))


def webhook(desk: Desk) -> None:
    url = desk.random.choices(WEBHOOKS, (8, 2, 1))[0]
    shop.call_webhook.apply_async((url, "order.paid", {"order": next(desk.orders)}), priority=URGENT)


def unsteady_webhook(desk: Desk) -> None:
    shop.call_webhook.delay(WEBHOOKS[1], "order.shipped", {"order": next(desk.orders)})


def open_day(_desk: Desk) -> None:
    shop.open_day.delay(["north", "harbour", "closed"])


def report(desk: Desk) -> None:
    shop.nightly_report.delay(_day(desk))


def cancelled_report(desk: Desk) -> None:
    """Planned, and called off while it waits at the worker."""
    waiting = shop.nightly_report.apply_async((_day(desk),), countdown=4)
    desk.later(1.5, waiting.revoke)


def expired_report(desk: Desk) -> None:
    """Nobody wants it any more when its turn comes."""
    shop.nightly_report.apply_async((_day(desk),), countdown=2, expires=1)


def stopped_report(desk: Desk) -> None:
    """Runs far too long, and is ended from outside."""
    running = shop.nightly_report.delay(_day(desk), minutes=10)
    give_up = time.monotonic() + PATIENCE

    def stop_when_running() -> None:
        if started(running) or time.monotonic() > give_up:
            running.revoke(terminate=True)
        else:
            desk.later(0.3, stop_when_running)

    desk.later(1.0, stop_when_running)


def started(result: "AsyncResult[Any]") -> bool:
    return bool(result.state == "STARTED")


def _day(desk: Desk) -> str:
    return f"2026-{desk.random.randint(1, 12):02}-{desk.random.randint(1, 28):02}"


@dataclass(frozen=True)
class Scenario:
    """`tasks` is how many it makes, retries not counted; `pause` is how long, in seconds, until it may
    come again: slow things stay rare however high the rate is."""

    play: Callable[..., None]
    tasks: int
    weight: int
    pause: float = 0.0


SCENARIOS = (
    Scenario(order, tasks=5, weight=30),
    Scenario(unsteady_webhook, tasks=1, weight=2),
    Scenario(gallery, tasks=4, weight=8),
    Scenario(declined, tasks=4, weight=4),
    Scenario(cancelled_report, tasks=1, weight=2, pause=20),
    Scenario(catalogue, tasks=1, weight=3, pause=3),
    Scenario(newsletter, tasks=5, weight=5),
    Scenario(stopped_report, tasks=1, weight=2, pause=20),
    Scenario(sold_out, tasks=5, weight=2),
    Scenario(broken_picture, tasks=3, weight=2),
    Scenario(open_day, tasks=4, weight=3),
    Scenario(expired_report, tasks=1, weight=2, pause=20),
    Scenario(report, tasks=1, weight=2, pause=20),
    Scenario(webhook, tasks=1, weight=20),
)


def programme(rng: random.Random, tasks: int | None) -> Iterator[Scenario]:
    """Which scenario comes next: all of them once, then by weight; about `tasks` tasks in all, never more."""
    left = float("inf") if tasks is None else tasks
    played: dict[Scenario, float] = {}
    opening = iter(SCENARIOS)
    while left > 0:
        scenario = next(opening, None) or _choose(rng, played, left)
        if scenario.tasks > left:
            continue
        played[scenario] = time.monotonic()
        left -= scenario.tasks
        yield scenario


def _choose(rng: random.Random, played: dict[Scenario, float], left: float) -> Scenario:
    now = time.monotonic()
    possible = [s for s in SCENARIOS if s.tasks <= left and now - played.get(s, 0.0) >= s.pause]
    return rng.choices(possible, [s.weight for s in possible])[0]


def run(tasks: int | None, rate: float, seed: int | None, stop: threading.Event) -> None:
    """Send `rate` tasks a second; return when `tasks` are sent and all that was planned is done."""
    desk = Desk(seed)
    due = time.monotonic()
    for scenario in programme(desk.random, tasks):
        scenario.play(desk)
        due += scenario.tasks / rate
        desk.attend(due, stop)
        if stop.is_set():
            return
    desk.finish(stop)


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
    run(options.tasks, options.rate, options.seed, stop)


if __name__ == "__main__":
    main()
