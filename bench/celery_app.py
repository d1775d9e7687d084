"""The Celery application that both systems are started on. It is imported in Flower's environment as well
as in ours, so it needs nothing but Celery. No worker runs: the events come from `bench.publisher`."""

import os

from celery import Celery

app = Celery("bench", broker=os.environ.get("BENCH_BROKER", "redis://127.0.0.1:6379/0"))
