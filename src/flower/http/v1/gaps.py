"""Routes of gaps: intervals in which events may have been missed."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from flower.api.gaps import DismissalFilter, GapPage, GapRow, dismiss_gap, load_gap_page, load_gaps, restore_gap
from flower.api.query_params import parse_time_bound
from flower.http.v1.route import RequestContext, Route


class GapListParams(msgspec.Struct, frozen=True, kw_only=True):
    start: Annotated[
        str,
        Meta(
            description="Only gaps that end after this time: `-1h`, `today`, `2026-11-22T10:15Z`, epoch seconds.",
            examples=["-24h"],
        ),
    ] = ""
    end: Annotated[str, Meta(description="Only gaps that start before this time.")] = ""
    dismissed: Annotated[DismissalFilter, Meta(description="Only dismissed gaps, or only the others.")] = "any"
    worker: Annotated[
        str, Meta(description="Only gaps that concern the events of this worker.", examples=["celery@w1"])
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Gaps per page.")] = 100
    cursor: Annotated[str, Meta(description="`next_cursor` of the previous page.")] = ""


class GapParams(msgspec.Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="The id of the gap.", examples=["8c54a1f2d90be637"])]


def list_gaps(ctx: RequestContext, params: GapListParams, body: None) -> GapPage:
    rows = load_gaps(
        ctx.store,
        ctx.server.ledger,
        start=parse_time_bound(params.start, "start"),
        end=parse_time_bound(params.end, "end"),
        dismissed=params.dismissed,
        worker=params.worker or None,
    )
    return load_gap_page(rows, limit=params.limit, cursor=params.cursor)


def dismiss(ctx: RequestContext, params: GapParams, body: None) -> GapRow:
    return dismiss_gap(ctx.store, ctx.server.ledger, params.id, by=ctx.identity.name)


def restore(ctx: RequestContext, params: GapParams, body: None) -> GapRow:
    return restore_gap(ctx.store, ctx.server.ledger, params.id)


_GAP_EXAMPLE: Final[dict[str, Any]] = {
    "id": "8c54a1f2d90be637",
    "started_at": 1795342440.0,
    "ended_at": 1795342452.0,
    "cause": "broker_unreachable",
    "reason": "not connected to Redis",
    "worker": None,
    "dismissed_at": None,
    "dismissed_by": "",
}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/gaps", "listGaps", "gaps", "List intervals in which events may have been missed, latest first",
        list_gaps, params=GapListParams, response=GapPage, example={"gaps": [_GAP_EXAMPLE], "next_cursor": None},
    ),
    Route(
        "POST", "/gaps/{id}/dismiss", "dismissGap", "gaps", "Dismiss a gap: pages and health no longer report it",
        dismiss, params=GapParams, response=GapRow, permission="tasks", audit_action="gap.dismiss",
        example={**_GAP_EXAMPLE, "dismissed_at": 1795342600.0, "dismissed_by": "ann"},
    ),
    Route(
        "POST", "/gaps/{id}/restore", "restoreGap", "gaps", "Restore a dismissed gap", restore, params=GapParams,
        response=GapRow, permission="tasks", audit_action="gap.restore", example=_GAP_EXAMPLE,
    ),
)  # fmt: skip
