"""The Celery application of the demo: an order shop.

The outcome of a task depends only on its arguments (a card ending in 0002 is declined, a mailbox at `slow.example`
accepts at the third attempt), so that a seeded stream of tasks always has the same results. It is an ordinary
application: `celery -A flower.demo.shop inspect ping` works while the demo is running.
"""

import os
import smtplib
import time
from collections.abc import Sequence
from typing import Any

from celery import Celery, Task, group
from celery.exceptions import Reject

BROKER_VARIABLE = "BELLFLOWER_DEMO_BROKER"
PACE_VARIABLE = "BELLFLOWER_DEMO_PACE"

app = Celery("shop", broker=os.environ.get(BROKER_VARIABLE, "redis://127.0.0.1:6379/0"))
app.conf.update(
    result_backend=app.conf.broker_url,
    result_expires=600,
    result_extended=True,
    task_track_started=True,
    task_send_sent_event=True,
    worker_send_task_events=True,
    worker_prefetch_multiplier=2,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"priority_steps": [0, 3, 6, 9], "queue_order_strategy": "priority"},
    task_default_queue="default",
    task_routes={
        "shop.send_mail": {"queue": "mail"},
        "shop.call_webhook": {"queue": "mail"},
        "shop.resize_image": {"queue": "media"},
        "shop.publish_gallery": {"queue": "media"},
        "shop.render_invoice": {"queue": "media"},
    },
)


class CardDeclined(Exception):
    """The bank declined the payment."""


class OutOfStock(Exception):
    """The stock is smaller than the quantity in the basket."""


def simulate_work(seconds: float) -> None:
    """Sleep for about this long; a demo with a high rate shortens the durations."""
    time.sleep(seconds * float(os.environ.get(PACE_VARIABLE, "1")))


@app.task(name="shop.take_order")
def take_order(order: int, customer: str, basket: dict[str, int], card: str) -> dict[str, Any]:
    simulate_work(0.03)
    return {"order": order, "customer": customer, "basket": basket, "card": card, "total": total_price(basket)}


@app.task(name="shop.charge_card")
def charge_card(order: dict[str, Any]) -> dict[str, Any]:
    simulate_work(0.12)
    authorise(order["card"], order["total"])
    return {**order, "paid": True}


@app.task(name="shop.reserve_stock")
def reserve_stock(order: dict[str, Any]) -> dict[str, Any]:
    simulate_work(0.02)
    shelf = {"bell": 40, "bulb": 12, "seed": 900, "pot": 25}
    for article, pieces in order["basket"].items():
        if pieces > shelf[article]:
            raise OutOfStock(f"{pieces} × {article} wanted, {shelf[article]} on the shelf")
    return order


@app.task(name="shop.render_invoice")
def render_invoice(order: dict[str, Any]) -> str:
    simulate_work(0.6 + 0.05 * len(order["basket"]))
    return f"invoices/{order['order']}.pdf"


@app.task(
    bind=True,
    name="shop.send_mail",
    autoretry_for=(smtplib.SMTPServerDisconnected,),
    max_retries=3,
    retry_backoff=1,
    retry_backoff_max=8,
)
def send_mail(self: "Task[Any, Any]", attachment: str | None, to: str, subject: str) -> str:
    """Greylisted at `slow.example`: accepted at the third attempt. `dead.example` never accepts."""
    simulate_work(0.05)
    domain = to.partition("@")[2]
    if domain == "dead.example" or (domain == "slow.example" and self.request.retries < 2):
        raise smtplib.SMTPServerDisconnected(f"mx.{domain} closed the connection")
    return f"250 queued as {self.request.id[:8]}"


@app.task(name="shop.order_failed")
def order_failed(failed_id: str, *, customer: str) -> str:
    """An error callback: Celery passes the id of the failed step. A signature with one positional argument makes it a
    separate task."""
    simulate_work(0.01)
    send_mail.apply_async((None, customer, "We could not complete your order"), priority=0)
    return failed_id


@app.task(name="shop.resize_image")
def resize_image(path: str, width: int) -> str:
    simulate_work(0.1 + width / 8000)
    if path.endswith(".tiff"):
        raise ValueError(f"cannot identify image file {path!r}")
    return path.replace(".jpg", f"-{width}.jpg")


@app.task(name="shop.publish_gallery")
def publish_gallery(images: Sequence[str], article: str) -> str:
    simulate_work(0.05)
    return f"{article}: {len(images)} pictures"


@app.task(bind=True, name="shop.import_catalogue")
def import_catalogue(self: "Task[Any, Any]", supplier: str, rows: int) -> dict[str, int]:
    """Reports its progress with custom events, which are stored in the task's record."""
    for done in range(0, rows + 1, max(rows // 10, 1)):
        simulate_work(0.12)
        self.send_event("task-progress", current=done, total=rows, supplier=supplier)
    return {"imported": rows}


@app.task(name="shop.nightly_report")
def nightly_report(day: str, minutes: float = 0.05) -> str:
    """Deliberately slow: long enough to be terminated."""
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        time.sleep(0.05)
    return f"reports/{day}.csv"


@app.task(
    bind=True,
    name="shop.call_webhook",
    autoretry_for=(ConnectionError,),
    max_retries=2,
    retry_backoff=1,
    retry_jitter=False,
)
def call_webhook(self: "Task[Any, Any]", url: str, event: str, payload: dict[str, Any]) -> int:
    simulate_work(0.08)
    if "unreachable" in url or ("unsteady" in url and self.request.retries == 0):
        raise ConnectionRefusedError(111, f"POST {url}: connection refused")
    return 204


@app.task(name="shop.sync_warehouse", acks_late=True)
def sync_warehouse(warehouse: str) -> str:
    """A closed warehouse rejects its message without requeueing it."""
    simulate_work(0.05)
    if warehouse == "closed":
        raise Reject("the warehouse is closed", requeue=False)
    return f"{warehouse} in sync"


@app.task(name="shop.open_day")
def open_day(warehouses: Sequence[str]) -> str:
    """A task that sends tasks, which have it as their parent."""
    return str(group(sync_warehouse.s(w) for w in warehouses).apply_async().id)


def total_price(basket: dict[str, int]) -> float:
    prices = {"bell": 4.5, "bulb": 2.25, "seed": 0.4, "pot": 11.0}
    return round(sum(prices[article] * pieces for article, pieces in basket.items()), 2)


def authorise(card: str, amount: float) -> None:
    """The bank. A separate function, so that the traceback has several frames."""
    if card.endswith("0002"):
        raise CardDeclined(f"{card}: insufficient funds for {amount:.2f}")
    if card.endswith("0069"):
        raise CardDeclined(f"{card}: expired")
