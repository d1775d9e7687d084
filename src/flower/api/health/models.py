"""The result of a health check: issues, most severe first, an overall status and a one-line summary."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from flower.api.health.remedies import ENABLE_EVENTS_REMEDY

Severity: TypeAlias = Literal["warning", "critical"]
HealthStatus: TypeAlias = Literal["ok", "warning", "critical", "unknown"]
#: `rules.HEALTH_RULES` has one rule for each kind.
IssueKind: TypeAlias = Literal[
    "recorder_stopped", "broker_unreachable", "disk_full", "disk_low", "store_damaged", "store_migrating",
    "recorder_behind", "result_backend_failing",
    "broker_blocks_publishers", "too_many_names", "events_missed", "messages_unreadable", "task_events_disabled",
    "workers_without_events", "no_workers_online", "worker_no_heartbeat", "worker_state_unknown", "worker_name_shared",
    "worker_clock_wrong", "queue_without_consumers", "queue_growing", "failures_new", "failures_regressed",
    "failures_rising", "tasks_stuck", "tasks_lost",
]  # fmt: skip

_SEVERITY_RANK: Final = {"critical": 0, "warning": 1}


class IssueSubject(msgspec.Struct, frozen=True):
    """What an issue concerns. `id` is "" if there is only one such subject, or if the issue concerns several. `query`
    finds the tasks concerned; "" without any."""

    type: Literal["queue", "worker", "failure", "recorder", "store", "tasks"]
    id: str = ""
    query: str = ""


class HealthIssue(msgspec.Struct, frozen=True, kw_only=True):
    """`title` is short, `detail` a sentence. `started_at`: epoch seconds. `value`: the number that the issue is about,
    such as a queue depth or a count; `trend`: its previous values, oldest first."""

    kind: IssueKind
    severity: Severity
    title: str
    detail: str
    subject: IssueSubject
    started_at: float | None = None
    value: float | None = None
    trend: tuple[float, ...] = ()


class Health(msgspec.Struct, frozen=True):
    """`status` is the severity of the most severe issue. It is `unknown` while there is no data: no recorder has
    written to the store, no worker is known, or no event was recorded; `next_step` is what to do then, "" otherwise."""

    status: HealthStatus
    summary: str
    checked_at: float
    issues: tuple[HealthIssue, ...]
    next_step: str = ""


def build_health(
    issues: Iterable[HealthIssue],
    *,
    now: float,
    recorder_seen: bool,
    workers_seen: bool,
    events_seen: bool,
) -> Health:
    """`issues` of equal severity stay in their order. `recorder_seen`: a recorder has written to the store.
    `workers_seen`: at least one worker is known. `events_seen`: at least one event was recorded."""
    ordered = sorted(issues, key=lambda issue: _SEVERITY_RANK[issue.severity])
    if ordered:
        return Health(ordered[0].severity, _summarize(ordered), now, tuple(ordered))
    if not recorder_seen:
        step = "Start the recorder: celery -A proj flower, or flower record."
        return Health("unknown", "No recorder has written to this store yet", now, (), step)
    if not workers_seen:
        step = "Start a worker: celery -A proj worker -E. Bellflower must use the same broker."
        return Health("unknown", "No data yet: no workers connected", now, (), step)
    if not events_seen:
        return Health("unknown", "No data yet: no events received", now, (), ENABLE_EVENTS_REMEDY)
    return Health("ok", "All systems normal", now, ())


def _summarize(issues: Sequence[HealthIssue]) -> str:
    others = len(issues) - 1
    return issues[0].title if not others else f"{issues[0].title} (+{others} more issue{'' if others == 1 else 's'})"
