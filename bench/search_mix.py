"""Queries in the search language as people on call would type them; never the same twice."""

import random
from collections.abc import Callable
from datetime import datetime

from bench.dataset import COMMON, QUEUES, WORDS, Population
from bench.event_stream import NAMES, WEIGHTS, WORKERS
from bench.failure_fixtures import any_phrase

Search = Callable[[random.Random], str]
STATES = ("FAILURE", "RETRY", "REVOKED", "SUCCESS", "STARTED")


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def by_state(chance: random.Random) -> str:
    one, other = chance.sample(STATES, 2)
    return chance.choice((f"state:{one}", f"state:{one},{other}", "-state:SUCCESS", "is:failed"))


def by_type(chance: random.Random) -> str:
    name = chance.choices(NAMES, WEIGHTS)[0]
    room, _, verb = name.split(".")
    word = chance.choice(WORDS)
    return chance.choice((f"name:={name}", f"name:{word}", f"name:{room}.*", f"name:{verb}", f"-name:{room}"))


def by_worker(chance: random.Random) -> str:
    one, other = (worker.partition("@")[2].partition(".")[0] for worker in chance.sample(WORKERS, 2))
    return chance.choice(
        (f"worker:=celery@{one}.example.com", f"worker:{one}", f"-worker:{other}", f"worker:*{one}*,*{other}*")
    )


def by_queue(chance: random.Random) -> str:
    one, other = chance.sample(QUEUES, 2)
    return chance.choice((f"queue:={one}", f"queue:={one},{other}", f"-queue:{other}"))


def by_cost(chance: random.Random) -> str:
    least = chance.choice((0.5, 1, 2, 5))
    return chance.choice(
        (
            f"runtime:>{least}s",
            f"runtime:{100 * least:g}ms..{least}s",
            f"retries:>={chance.randint(1, 3)}",
            "is:retried",
        )
    )


def by_time(population: Population) -> Search:
    def search(chance: random.Random) -> str:
        last = f"received:>-{chance.randint(5, 300)}m"
        first = population.at(chance.randrange(population.tasks))
        length = chance.choice((600, 3_600, 6 * 3_600))
        between = f"received:{_minute(first)}..{_minute(first + length)}"
        return chance.choice((last, between))

    return search


def any_of_them(population: Population) -> Search:
    """Two to five filters at once."""
    parts = (by_state, by_type, by_worker, by_queue, by_time(population))

    def search(chance: random.Random) -> str:
        return " ".join(part(chance) for part in chance.sample(parts, chance.randint(2, len(parts))))

    return search


def rare_text(population: Population) -> Callable[[random.Random], tuple[str, int]]:
    """A text that is in one task, and that task's number."""

    def search(chance: random.Random) -> tuple[str, int]:
        number = chance.randrange(population.tasks)
        order, uuid = population.order(number), population.uuid(number)
        return chance.choice((order, quoted(order), f"args:{order}", f"kwargs:{order.lower()}", uuid[9:])), number

    return search


def common_text(chance: random.Random) -> str:
    return chance.choice((*COMMON, f"{chance.choice(COMMON)} {chance.choice(COMMON)}"))


def phrase(chance: random.Random) -> str:
    """Thirty characters in a row out of a traceback."""
    text = quoted(any_phrase(chance))
    return chance.choice((text, f"traceback:{text}"))


def _minute(moment: float) -> str:
    """Local time, as the language takes it."""
    return f"{datetime.fromtimestamp(moment):%Y-%m-%dT%H:%M}"
