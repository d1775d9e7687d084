"""Workers: what they say of themselves, and commands to them."""

import time
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from flower.api.inspecting import check_worker, inspect
from flower.api.reading import read
from flower.api.v1.acting import Acting, Action, later
from flower.api.v1.asked import OneWorker
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
    it did when it was last asked, at `asked`. `alive` is what its events say."""

    name: str
    alive: bool
    asked: float | None
    answered: bool
    said: dict[str, Word]


class PoolSteps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    n: Annotated[int, Meta(ge=1, le=10_000, description="Processes or threads.")] = 1


class PoolRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    min: Annotated[int, Meta(ge=0, le=10_000)]
    max: Annotated[int, Meta(ge=1, le=10_000)]


class ConsumedQueue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    queue: Annotated[str, Meta(min_length=1, max_length=255)]


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
        kind: Word(each.at, each.value) for kind in KINDS if (each := known.said.get(kind)) is not None
    }
    alive = worker is not None and worker.is_alive(time.time())
    return InspectionAnswer(asked.name, alive, known.asked or None, known.answered, said)


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
)
