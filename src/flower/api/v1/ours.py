"""How this server is set up, as far as those who use it are concerned. Nothing secret is told."""

import logging

import msgspec

from flower import __version__
from flower.api.reading import read
from flower.api.v1.acting import Acting, Nothing
from flower.errors import FlowerError
from flower.redaction import Rules, masked
from flower.store.ledger.samples import KEPT, KEPT_EXACT

log = logging.getLogger(__name__)


class Keeping(msgspec.Struct, frozen=True):
    """Seconds; 0 is without end. `max_tasks`: of more the oldest go; `samples_exact`: after that the history of queues
    is told in steps of five minutes."""

    max_age: float
    max_tasks: int
    audit_max_age: float
    samples_exact: float
    samples: float


class Masking(msgspec.Struct, frozen=True):
    """What is masked before it is kept: values under `names`, what looks like one of `patterns`, positional `arguments`
    of tasks, numbered from 0."""

    names: tuple[str, ...]
    patterns: tuple[str, ...]
    arguments: tuple[str, ...]


class Bulk(msgspec.Struct, frozen=True):
    """Tasks that one job takes, and how many of them are worked off in a second."""

    limit: int
    rate: float


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """`broker`: its address without the password, null if the application cannot be loaded. `login`: whether one is
    needed."""

    version: str
    broker: str | None
    read_only: bool
    login: bool
    kept: Keeping
    redaction: Masking
    bulk: Bulk


async def ours(acting: Acting, asked: Nothing, body: None) -> Ours:
    context = acting.context
    return Ours(
        version=__version__,
        broker=await read(lambda: _broker(acting)),
        read_only=context.read_only,
        login=context.authenticated,
        kept=Keeping(context.max_age, context.max_tasks, context.audit_max_age, float(KEPT_EXACT), float(KEPT)),
        redaction=_masking(context.redactor.rules),
        bulk=Bulk(context.bulk_limit, context.bulk_rate),
    )


def _masking(rules: Rules) -> Masking:
    placed = (
        f"{task}: {'all' if places is None else ', '.join(str(place) for place in places)}"
        for task, places in rules.positions
    )
    return Masking(rules.names, rules.patterns, tuple(placed))


def _broker(acting: Acting) -> str | None:
    try:
        return masked(acting.context.app().conf.broker_read_url)
    except FlowerError as error:
        log.warning("The broker's address is not known: %s", error)
        return None
