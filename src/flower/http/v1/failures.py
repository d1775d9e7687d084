"""Routes of groups of failures: how they stand, and what people say of them."""

import time
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from flower.api.failures import (
    FailureList,
    FailureState,
    load_failure,
    load_failures,
    reopen_failure_group,
    set_failure_status,
)
from flower.api.query_params import parse_time_bound
from flower.api.thread_pool import run_in_thread
from flower.errors import InvalidRequest
from flower.http.v1 import params as ask
from flower.http.v1.route import ActionRoute, RequestContext
from flower.http.v1.schemas import FailureTasks
from flower.http.v1.task_rows import task_rows

_Comment = Annotated[str, Meta(max_length=2_000, description="Why, or where it is being worked on.")]


class FailureParams(msgspec.Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="The id of the group's fingerprint.", examples=["59fb2e5b6085582f"])]


class ResolveFailureBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """If one of the tasks fails later, the group is `returning`."""

    comment: _Comment = ""


class MuteFailureBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`until` is a time to come, as epoch seconds or written as in a query (`tomorrow`, `2026-11-23T10:00Z`); null is
    for ever."""

    expires_at: Annotated[float | str | None, Meta(description="When the mute is over.")] = None
    comment: _Comment = ""


class ReopenFailureBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing is needed."""


async def list_failures(acting: RequestContext, asked: ask.FailureListParams, body: None) -> FailureList:
    context = acting.server
    return await run_in_thread(
        lambda: load_failures(
            context.store,
            context.ledger,
            asked.query,
            status=asked.status,
            limit=asked.limit,
            buckets=asked.buckets,
            width=asked.bucket_width,
            **asked.window(),
        )
    )


async def get_failure(acting: RequestContext, asked: ask.FailureDetailParams, body: None) -> FailureTasks:
    context = acting.server

    def look() -> FailureTasks:
        row, found = load_failure(
            context.store,
            context.ledger,
            asked.id,
            asked.query,
            limit=asked.limit,
            buckets=asked.buckets,
            width=asked.bucket_width,
            **asked.window(),
        )
        return FailureTasks(row, found.span, task_rows(context.store, found.tasks, asked.columns, asked.text_limit))

    return await run_in_thread(look)


async def resolve_failure(acting: RequestContext, asked: FailureParams, body: ResolveFailureBody) -> FailureState:
    context, who = acting.server, acting.identity.name
    return await run_in_thread(
        lambda: set_failure_status(context.store, context.ledger, asked.id, "resolved", by=who, comment=body.comment)
    )


async def mute_failure(acting: RequestContext, asked: FailureParams, body: MuteFailureBody) -> FailureState:
    context, who, until = acting.server, acting.identity.name, _parse_expiry(body.expires_at)
    return await run_in_thread(
        lambda: set_failure_status(
            context.store, context.ledger, asked.id, "muted", by=who, expires_at=until, comment=body.comment
        )
    )


async def reopen_failure(acting: RequestContext, asked: FailureParams, body: ReopenFailureBody) -> FailureState:
    context = acting.server
    return await run_in_thread(lambda: reopen_failure_group(context.store, context.ledger, asked.id))


def _parse_expiry(given: float | str | None) -> float | None:
    """Raises Invalid for what is over already."""
    until = parse_time_bound(given, "end")
    if until is not None and not time.time() < until < float("inf"):
        raise InvalidRequest("A mute ends at a time to come", hint="null is for ever")
    return until


_NOTE_EXAMPLE: Final[dict[str, Any]] = {"by": "ann", "at": 1795342600.0, "until": None, "comment": "SHOP-311"}

_FAILURE_EXAMPLE: Final[dict[str, Any]] = {
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
    "note": _NOTE_EXAMPLE,
}
_SPAN_EXAMPLE: Final[dict[str, Any]] = {"start": 1795342500.0, "width": 30.0, "buckets": 4, "key": "received"}


def _state_example(status: str, note: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": "59fb2e5b6085582f",
        "status": status,
        "first_seen": 1795342562.0,
        "last_seen": 1795342562.0,
        "note": note,
    }


FAILURE_ROUTES: Final[tuple[ActionRoute, ...]] = (
    ActionRoute(
        "GET", "/failures", "listFailures", "failures", "Failures, those of a kind together, and how they stand",
        "view", ask.FailureListParams, None, FailureList, list_failures,
        {"groups": [_FAILURE_EXAMPLE], "count": 1, "more": 0, "span": _SPAN_EXAMPLE, "partial": None},
    ),
    ActionRoute(
        "GET", "/failures/{id}", "getFailure", "failures", "One group of failures and its latest tasks", "view",
        ask.FailureDetailParams, None, FailureTasks, get_failure,
        {
            "group": _FAILURE_EXAMPLE,
            "span": _SPAN_EXAMPLE,
            "tasks": [{"uuid": "charge-18", "exception": "CardDeclined('card of order 18 declined')"}],
        },
    ),
    ActionRoute(
        "POST", "/failures/{id}/resolve", "resolveFailure", "failures", "Say that it will not happen again", "tasks",
        FailureParams, ResolveFailureBody, FailureState, resolve_failure, _state_example("resolved", _NOTE_EXAMPLE),
        {"comment": "SHOP-311"},
        "failure.resolve",
    ),
    ActionRoute(
        "POST", "/failures/{id}/mute", "muteFailure", "failures", "Hear no more of it, for a while or for ever",
        "tasks", FailureParams, MuteFailureBody, FailureState, mute_failure, _state_example("muted", {**_NOTE_EXAMPLE,
        "until": 1795429000.0}),
        {"until": 1795429000.0, "comment": "SHOP-311"}, "failure.mute",
    ),
    ActionRoute(
        "POST", "/failures/{id}/reopen", "reopenFailure", "failures", "Take back that it is resolved or muted", "tasks",
        FailureParams, ReopenFailureBody, FailureState, reopen_failure, _state_example("open", None), {},
        "failure.reopen",
    ),
)  # fmt: skip
