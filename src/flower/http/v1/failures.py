"""Routes of failure groups: statistics, tasks and triage."""

import time
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from flower.api.failures import (
    FailureList,
    FailureRow,
    FailureState,
    FailureStatus,
    load_failure,
    load_failures,
    reopen_failure_group,
    set_failure_status,
)
from flower.api.query_params import parse_time_bound
from flower.errors import InvalidRequest
from flower.http.v1.params import ColumnsParam, HistogramParams, TextLimitParam
from flower.http.v1.route import RequestContext, Route
from flower.http.v1.task_rows import DEFAULT_COLUMNS, MAX_TEXT_LIMIT, TaskRow, task_rows
from flower.store.query_results import BucketSpan

_FailureId = Annotated[str, Meta(description="The id of the failure group.", examples=["59fb2e5b6085582f"])]
_Comment = Annotated[str, Meta(max_length=2_000, description="The reason, or a link to an issue.")]


class FailureListParams(HistogramParams, frozen=True, kw_only=True):
    status: Annotated[
        tuple[FailureStatus, ...],
        Meta(description="Only groups with one of these statuses. Default: all.", examples=["new,open,regressed"]),
    ] = ()
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Maximum number of groups.")] = 20


class FailureDetailParams(HistogramParams, frozen=True, kw_only=True):
    columns: ColumnsParam = DEFAULT_COLUMNS
    text_limit: TextLimitParam = MAX_TEXT_LIMIT
    id: _FailureId
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Maximum number of tasks, latest first.")] = 20


class FailureParams(msgspec.Struct, frozen=True, kw_only=True):
    id: _FailureId


class ResolveFailureBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A later failure of the group changes its status to `regressed`."""

    comment: _Comment = ""


class MuteFailureBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`expires_at` is a time in the future, in epoch seconds or as in a query (`2026-11-23T10:00Z`); null mutes the
    group forever."""

    expires_at: Annotated[float | str | None, Meta(description="End of the mute.")] = None
    comment: _Comment = ""


class ReopenFailureBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An empty object."""


class FailureTasks(msgspec.Struct, frozen=True):
    """A failure group. `span` are the buckets of its `trend`."""

    failure: FailureRow
    span: BucketSpan
    tasks: Annotated[tuple[TaskRow, ...], Meta(description="The latest tasks of the group.")]


def list_failures(ctx: RequestContext, params: FailureListParams, body: None) -> FailureList:
    return load_failures(
        ctx.store,
        ctx.server.ledger,
        params.query,
        status=params.status,
        limit=params.limit,
        buckets=params.buckets,
        width=params.bucket_width,
        **params.window(),
    )


def get_failure(ctx: RequestContext, params: FailureDetailParams, body: None) -> FailureTasks:
    row, detail = load_failure(
        ctx.store,
        ctx.server.ledger,
        params.id,
        params.query,
        limit=params.limit,
        buckets=params.buckets,
        width=params.bucket_width,
        **params.window(),
    )
    return FailureTasks(row, detail.span, task_rows(ctx.store, detail.tasks, params.columns, params.text_limit))


def resolve_failure(ctx: RequestContext, params: FailureParams, body: ResolveFailureBody) -> FailureState:
    return set_failure_status(
        ctx.store, ctx.server.ledger, params.id, "resolved", by=ctx.identity.name, comment=body.comment
    )


def mute_failure(ctx: RequestContext, params: FailureParams, body: MuteFailureBody) -> FailureState:
    return set_failure_status(
        ctx.store,
        ctx.server.ledger,
        params.id,
        "muted",
        by=ctx.identity.name,
        expires_at=_parse_expiry(body.expires_at),
        comment=body.comment,
    )


def reopen_failure(ctx: RequestContext, params: FailureParams, body: ReopenFailureBody) -> FailureState:
    return reopen_failure_group(ctx.store, ctx.server.ledger, params.id)


def _parse_expiry(given: float | str | None) -> float | None:
    """Raises InvalidRequest for a time in the past."""
    expires_at = parse_time_bound(given, "end")
    if expires_at is not None and not time.time() < expires_at < float("inf"):
        raise InvalidRequest("expires_at must be in the future", hint="use null to mute the group forever")
    return expires_at


_NOTE_EXAMPLE: Final[dict[str, Any]] = {
    "created_by": "ann",
    "created_at": 1795342600.0,
    "expires_at": None,
    "comment": "SHOP-311",
}
_FAILURE_EXAMPLE: Final[dict[str, Any]] = {
    "fingerprint": {
        "id": "59fb2e5b6085582f",
        "exception": "shop.billing.CardDeclined",
        "message": "card of order # declined",
        "frame": "srv/shop/billing.py:charge",
    },
    "count": 1,
    "first_failure_at": 1795342562.0,
    "last_failure_at": 1795342562.0,
    "trend": [0, 0, 1, 0],
    "types": [{"value": "shop.charge", "count": 1}],
    "workers": [{"value": "celery@w2", "count": 1}],
    "example": "charge-18",
    "status": "resolved",
    "first_seen_at": 1795342562.0,
    "last_seen_at": 1795342562.0,
    "note": _NOTE_EXAMPLE,
}
_SPAN_EXAMPLE: Final[dict[str, Any]] = {"start_at": 1795342500.0, "width": 30.0, "buckets": 4, "time": "received"}


def _state_example(status: str, note: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": "59fb2e5b6085582f",
        "status": status,
        "first_seen_at": 1795342562.0,
        "last_seen_at": 1795342562.0,
        "note": note,
    }


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/failures", "listFailures", "failures", "List failure groups, largest first", list_failures,
        params=FailureListParams, response=FailureList,
        example={"failures": [_FAILURE_EXAMPLE], "count": 1, "more": 0, "span": _SPAN_EXAMPLE, "partial": None},
    ),
    Route(
        "GET", "/failures/{id}", "getFailure", "failures", "Get a failure group with its latest tasks", get_failure,
        params=FailureDetailParams, response=FailureTasks,
        example={
            "failure": _FAILURE_EXAMPLE,
            "span": _SPAN_EXAMPLE,
            "tasks": [{"uuid": "charge-18", "exception": "CardDeclined('card of order 18 declined')"}],
        },
    ),
    Route(
        "POST", "/failures/{id}/resolve", "resolveFailure", "failures", "Resolve a failure group", resolve_failure,
        params=FailureParams, body=ResolveFailureBody, response=FailureState, permission="tasks",
        audit_action="failure.resolve", example=_state_example("resolved", _NOTE_EXAMPLE),
        body_example={"comment": "SHOP-311"},
    ),
    Route(
        "POST", "/failures/{id}/mute", "muteFailure", "failures", "Mute a failure group", mute_failure,
        params=FailureParams, body=MuteFailureBody, response=FailureState, permission="tasks",
        audit_action="failure.mute", example=_state_example("muted", {**_NOTE_EXAMPLE, "expires_at": 1795429000.0}),
        body_example={"expires_at": 1795429000.0, "comment": "SHOP-311"},
    ),
    Route(
        "POST", "/failures/{id}/reopen", "reopenFailure", "failures", "Reopen a resolved or muted failure group",
        reopen_failure, params=FailureParams, body=ReopenFailureBody, response=FailureState, permission="tasks",
        audit_action="failure.reopen", example=_state_example("open", None), body_example={},
    ),
)  # fmt: skip
