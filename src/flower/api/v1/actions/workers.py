"""Workers: what they say of themselves, and commands to them."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from flower.api.inspecting import check_worker, inspect
from flower.api.reading import read
from flower.api.v1.acting import Acting, Action, Nothing, later
from flower.api.v1.asked import OneWorker
from flower.api.v1.said import fit
from flower.cluster.inspected import KINDS, Inspected
from flower.errors import NotFound

_COMMANDS: Final = "flower.api.v1.commanding"


class Inspection(OneWorker, frozen=True, kw_only=True):
    refresh: Annotated[bool, Meta(description="Ask the worker now, and wait for its answer.")] = False


class Word(msgspec.Struct, frozen=True):
    """`at`: when the worker said this."""

    at: float
    value: Any


class InspectionAnswer(msgspec.Struct, frozen=True):
    """What the worker last said of itself, kind by kind; a kind that it never answered is left out. `answered`: whether
    it did when it was last asked, at `asked`. `alive` is what its events say. Settings and arguments are shown without
    their secrets, arguments as text."""

    name: str
    alive: bool
    asked: float | None
    answered: bool
    said: dict[str, Word]


class Brief(msgspec.Struct, frozen=True):
    """A worker as it last said itself, in short. `at`: when; `slots`: how many tasks it runs at a time; `prefetch`: how
    many messages it takes ahead, 0 for any number; null is what it did not say."""

    name: str
    at: float | None
    answered: bool
    slots: int | None
    prefetch: int | None
    pool: str | None
    uptime: float | None
    queues: tuple[str, ...]


class Briefs(msgspec.Struct, frozen=True):
    workers: tuple[Brief, ...]


class PoolSteps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    n: Annotated[int, Meta(ge=1, le=10_000, description="Processes or threads.")] = 1


class PoolRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    min: Annotated[int, Meta(ge=0, le=10_000)]
    max: Annotated[int, Meta(ge=1, le=10_000)]


class ConsumedQueue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    queue: Annotated[str, Meta(min_length=1, max_length=255)]


class RateLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rate`: `200`, `10/s`, `90/m`, `5/h`; 0 lifts the limit."""

    task: Annotated[str, Meta(min_length=1, max_length=1_000)]
    rate: Annotated[str, Meta(min_length=1, max_length=40)]


class TimeLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds; null lifts a limit. Workers of Celery 5 note new limits at once, but go by them only after they next
    connected to the broker."""

    task: Annotated[str, Meta(min_length=1, max_length=1_000)]
    soft: Annotated[float, Meta(ge=0)] | None = None
    hard: Annotated[float, Meta(ge=0)] | None = None


class WorkerAnswer(msgspec.Struct, frozen=True):
    """`answer`: the worker's own words; null for what it does not answer."""

    worker: str
    answer: str | None = None


async def inspection(acting: Acting, asked: Inspection, body: None) -> InspectionAnswer:
    context = acting.context
    if asked.refresh:
        await inspect(context, asked.name)
    else:
        await check_worker(context, asked.name)
    worker = (await read(context.store.workers)).get(asked.name)
    found = context.inspections.of(asked.name)
    if worker is None and found is None:
        raise NotFound(f"Unknown worker '{asked.name}'")
    known = found or Inspected()
    said: dict[str, Word] = {
        kind: Word(each.at, fit(kind, each.value, context.redactor))
        for kind in KINDS
        if (each := known.said.get(kind)) is not None
    }
    alive = worker is not None and worker.is_alive(time.time())
    return InspectionAnswer(asked.name, alive, known.asked or None, known.answered, said)


async def inspections(acting: Acting, asked: Nothing, body: None) -> Briefs:
    return Briefs(tuple(_brief(name, found) for name, found in acting.context.inspections.all().items()))


def _brief(name: str, found: Inspected) -> Brief:
    stats = _mapping(found.value("stats"))
    pool = _mapping(stats.get("pool"))
    kind = str(pool.get("implementation") or "").rpartition(":")[0].rpartition(".")[2] or None
    return Brief(
        name,
        found.timestamp,
        found.answered,
        _whole(pool.get("max-concurrency")),
        _whole(stats.get("prefetch_count")),
        kind,
        _whole(stats.get("uptime")),
        found.queues,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _command(path: str, name: str, summary: str, act: str, body: Any, example: str | None, given: Any = None) -> Action:
    return Action(
        "POST",
        f"/workers/{{name}}/{path}",
        name,
        "workers",
        summary,
        "workers",
        OneWorker,
        body,
        WorkerAnswer,
        later(_COMMANDS, act),
        {"worker": "celery@w1", "answer": example},
        given,
        f"worker.{act}",
    )


WORKERS: tuple[Action, ...] = (
    Action(
        "GET",
        "/inspections",
        "listInspections",
        "workers",
        "What all workers last said of themselves, in short",
        "view",
        Nothing,
        None,
        Briefs,
        inspections,
        {
            "workers": [
                {
                    "name": "celery@w1",
                    "at": 1795342590.1,
                    "answered": True,
                    "slots": 8,
                    "prefetch": 32,
                    "pool": "prefork",
                    "uptime": 86400.0,
                    "queues": ["celery"],
                }
            ]
        },
    ),
    Action(
        "GET",
        "/workers/{name}/inspection",
        "inspectWorker",
        "workers",
        "What a worker says of itself, and since when that is known",
        "view",
        Inspection,
        None,
        InspectionAnswer,
        inspection,
        {
            "name": "celery@w1",
            "alive": True,
            "asked": 1795342590.0,
            "answered": True,
            "said": {"active_queues": {"at": 1795342590.1, "value": [{"name": "celery"}]}},
        },
    ),
    _command("shutdown", "shutDownWorker", "Shut a worker down", "shutdown", None, None),
    _command("pool/restart", "restartPool", "Restart a worker's pool", "restart", None, "reload started"),
    _command(
        "pool/grow", "growPool", "Add processes to a worker's pool", "grow", PoolSteps, "pool will grow", {"n": 2}
    ),
    _command(
        "pool/shrink",
        "shrinkPool",
        "Take processes from a worker's pool; one at least must stay",
        "shrink",
        PoolSteps,
        "pool will shrink",
        {"n": 1},
    ),
    _command(
        "pool/autoscale",
        "autoscalePool",
        "Set the limits between which a worker's pool scales by itself",
        "autoscale",
        PoolRange,
        "autoscale now max=10 min=3",
        {"min": 3, "max": 10},
    ),
    _command(
        "consumers/add",
        "addConsumer",
        "Let a worker consume from a queue",
        "add_consumer",
        ConsumedQueue,
        "add consumer mail",
        {"queue": "mail"},
    ),
    _command(
        "consumers/cancel",
        "cancelConsumer",
        "Let a worker consume from a queue no longer",
        "cancel_consumer",
        ConsumedQueue,
        "no longer consuming from mail",
        {"queue": "mail"},
    ),
    _command(
        "limits/rate",
        "limitRate",
        "Set how often a worker may run tasks of a type",
        "rate_limit",
        RateLimit,
        "new rate limit set successfully",
        {"task": "shop.charge", "rate": "10/s"},
    ),
    _command(
        "limits/time",
        "limitTime",
        "Set for how long a worker may run tasks of a type",
        "time_limit",
        TimeLimits,
        "time limits set successfully",
        {"task": "shop.charge", "soft": 20.0, "hard": 30.0},
    ),
)
