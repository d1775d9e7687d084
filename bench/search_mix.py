"""Random queries of the search language, as on-call engineers type them."""

import random
from collections.abc import Callable
from datetime import datetime

from bench.dataset import COMMON_TERMS, QUEUES, WORDS, Dataset
from bench.event_stream import NAMES, WEIGHTS, WORKERS
from bench.failure_fixtures import random_phrase

Search = Callable[[random.Random], str]
STATES = ("FAILURE", "RETRY", "REVOKED", "SUCCESS", "STARTED")


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def by_state(rng: random.Random) -> str:
    first, second = rng.sample(STATES, 2)
    return rng.choice((f"state:{first}", f"state:{first},{second}", "-state:SUCCESS", "is:failed"))


def by_type(rng: random.Random) -> str:
    name = rng.choices(NAMES, WEIGHTS)[0]
    department, _, verb = name.split(".")
    word = rng.choice(WORDS)
    return rng.choice((f"name:={name}", f"name:{word}", f"name:{department}.*", f"name:{verb}", f"-name:{department}"))


def by_worker(rng: random.Random) -> str:
    first, second = (worker.partition("@")[2].partition(".")[0] for worker in rng.sample(WORKERS, 2))
    return rng.choice(
        (f"worker:=celery@{first}.example.com", f"worker:{first}", f"-worker:{second}", f"worker:*{first}*,*{second}*")
    )


def by_queue(rng: random.Random) -> str:
    first, second = rng.sample(QUEUES, 2)
    return rng.choice((f"queue:={first}", f"queue:={first},{second}", f"-queue:{second}"))


def by_cost(rng: random.Random) -> str:
    seconds = rng.choice((0.5, 1, 2, 5))
    return rng.choice(
        (
            f"runtime:>{seconds}s",
            f"runtime:{100 * seconds:g}ms..{seconds}s",
            f"retries:>={rng.randint(1, 3)}",
            "is:retried",
        )
    )


def by_time(dataset: Dataset) -> Search:
    def search(rng: random.Random) -> str:
        last = f"received:>-{rng.randint(5, 300)}m"
        first = dataset.scheduled_at(rng.randrange(dataset.tasks))
        length = rng.choice((600, 3_600, 6 * 3_600))
        between = f"received:{_minute(first)}..{_minute(first + length)}"
        return rng.choice((last, between))

    return search


def any_of_them(dataset: Dataset) -> Search:
    """Two to five filters combined."""
    parts = (by_state, by_type, by_worker, by_queue, by_time(dataset))

    def search(rng: random.Random) -> str:
        return " ".join(part(rng) for part in rng.sample(parts, rng.randint(2, len(parts))))

    return search


def rare_text(dataset: Dataset) -> Callable[[random.Random], tuple[str, int]]:
    """A text that one task contains, and the number of that task."""

    def search(rng: random.Random) -> tuple[str, int]:
        number = rng.randrange(dataset.tasks)
        order, uuid = dataset.order(number), dataset.uuid(number)
        return rng.choice((order, quoted(order), f"args:{order}", f"kwargs:{order.lower()}", uuid[9:])), number

    return search


def common_text(rng: random.Random) -> str:
    return rng.choice((*COMMON_TERMS, f"{rng.choice(COMMON_TERMS)} {rng.choice(COMMON_TERMS)}"))


def phrase(rng: random.Random) -> str:
    """Thirty consecutive characters of a traceback."""
    text = quoted(random_phrase(rng))
    return rng.choice((text, f"traceback:{text}"))


def _minute(timestamp: float) -> str:
    """A local time in the syntax of the search language."""
    return f"{datetime.fromtimestamp(timestamp):%Y-%m-%dT%H:%M}"
