"""Routes of groups of failures: how they stand, and what people say of them."""

import time
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from flower.api.asking import bound
from flower.api.failure_states import FailureRows, FailureStanding, decide, failure_row, failure_rows, reopen
from flower.api.reading import read
from flower.api.v1 import asked as ask
from flower.api.v1.acting import Acting, Action
from flower.api.v1.answers import FailureTasks
from flower.api.v1.rows import rows
from flower.errors import Invalid

_Comment = Annotated[str, Meta(max_length=2_000, description="Why, or where it is being worked on.")]


class OneGroup(msgspec.Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="The id of the group's fingerprint.", examples=["59fb2e5b6085582f"])]


class Resolved(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """If one of the tasks fails later, the group is `returning`."""

    comment: _Comment = ""


class Muted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`until` is a time to come, as epoch seconds or written as in a query (`tomorrow`, `2026-11-23T10:00Z`); null is
    for ever."""

    until: Annotated[float | str | None, Meta(description="When the mute is over.")] = None
    comment: _Comment = ""


class Reopened(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing is needed."""


async def failures(acting: Acting, asked: ask.Failed, body: None) -> FailureRows:
    context = acting.context
    return await read(
        lambda: failure_rows(
            context.store,
            context.ledger,
            asked.query,
            status=asked.status,
            limit=asked.limit,
            buckets=asked.buckets,
            width=asked.seconds,
            **asked.window(),
        )
    )


async def failure(acting: Acting, asked: ask.OneFailure, body: None) -> FailureTasks:
    context = acting.context

    def look() -> FailureTasks:
        row, found = failure_row(
            context.store,
            context.ledger,
            asked.id,
            asked.query,
            limit=asked.limit,
            buckets=asked.buckets,
            width=asked.seconds,
            **asked.window(),
        )
        return FailureTasks(row, found.span, rows(context.store, found.tasks, asked.columns, asked.text_limit))

    return await read(look)


async def resolve(acting: Acting, asked: OneGroup, body: Resolved) -> FailureStanding:
    context, who = acting.context, acting.identity.name
    return await read(lambda: decide(context.store, context.ledger, asked.id, "resolved", by=who, comment=body.comment))


async def mute(acting: Acting, asked: OneGroup, body: Muted) -> FailureStanding:
    context, who, until = acting.context, acting.identity.name, _until(body.until)
    return await read(
        lambda: decide(context.store, context.ledger, asked.id, "muted", by=who, until=until, comment=body.comment)
    )


async def open_again(acting: Acting, asked: OneGroup, body: Reopened) -> FailureStanding:
    context = acting.context
    return await read(lambda: reopen(context.store, context.ledger, asked.id))


def _until(given: float | str | None) -> float | None:
    """Raises Invalid for what is over already."""
    until = bound(given, "end")
    if until is not None and not time.time() < until < float("inf"):
        raise Invalid("A mute ends at a time to come", hint="null is for ever")
    return until


_NOTE: Final[dict[str, Any]] = {"by": "ann", "at": 1795342600.0, "until": None, "comment": "SHOP-311"}

_ROW: Final[dict[str, Any]] = {
    "fingerprint": {
        "id": "59fb2e5b6085582f",
        "exception": "shop.billing.CardDeclined",
        "message": "card of order # declined",
        "frame": "srv/shop/billing.py:charge",
    },
    "count": 1,
    "first": 1795342562.0,
    "last": 1795342562.0,
    "trend": [0, 0, 1, 0],
    "types": [{"value": "shop.charge", "count": 1}],
    "workers": [{"value": "celery@w2", "count": 1}],
    "example": "charge-18",
    "status": "resolved",
    "first_seen": 1795342562.0,
    "last_seen": 1795342562.0,
    "note": _NOTE,
}
_SPAN: Final[dict[str, Any]] = {"start": 1795342500.0, "width": 30.0, "buckets": 4, "key": "received"}


def _standing(status: str, note: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": "59fb2e5b6085582f",
        "status": status,
        "first_seen": 1795342562.0,
        "last_seen": 1795342562.0,
        "note": note,
    }


ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        "GET", "/failures", "listFailures", "failures", "Failures, those of a kind together, and how they stand",
        "view", ask.Failed, None, FailureRows, failures,
        {"groups": [_ROW], "count": 1, "more": 0, "span": _SPAN, "partial": None},
    ),
    Action(
        "GET", "/failures/{id}", "getFailure", "failures", "One group of failures and its latest tasks", "view",
        ask.OneFailure, None, FailureTasks, failure,
        {
            "group": _ROW,
            "span": _SPAN,
            "tasks": [{"uuid": "charge-18", "exception": "CardDeclined('card of order 18 declined')"}],
        },
    ),
    Action(
        "POST", "/failures/{id}/resolve", "resolveFailure", "failures", "Say that it will not happen again", "tasks",
        OneGroup, Resolved, FailureStanding, resolve, _standing("resolved", _NOTE), {"comment": "SHOP-311"},
        "failure.resolve",
    ),
    Action(
        "POST", "/failures/{id}/mute", "muteFailure", "failures", "Hear no more of it, for a while or for ever",
        "tasks", OneGroup, Muted, FailureStanding, mute, _standing("muted", {**_NOTE, "until": 1795429000.0}),
        {"until": 1795429000.0, "comment": "SHOP-311"}, "failure.mute",
    ),
    Action(
        "POST", "/failures/{id}/reopen", "reopenFailure", "failures", "Take back that it is resolved or muted", "tasks",
        OneGroup, Reopened, FailureStanding, open_again, _standing("open", None), {}, "failure.reopen",
    ),
)  # fmt: skip
