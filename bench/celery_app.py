"""The Celery application of both systems. Flower's environment imports it too, so it depends on Celery alone. Workers
run in the step `reconciliation` only; otherwise the events come from `bench.publisher`."""

import os

from celery import Celery

app = Celery("bench", broker=os.environ.get("BENCH_BROKER", "redis://127.0.0.1:6379/0"))


@app.task(name="bench.return_argument")  # type: ignore[untyped-decorator]  # celery has no types
def return_argument(number: int) -> int:
    return number
