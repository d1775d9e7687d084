"""What the rules found, most severe first, with a verdict and one sentence."""

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec

Severity: TypeAlias = Literal["warning", "critical"]
HealthStatus: TypeAlias = Literal["ok", "warning", "critical", "unknown"]
#: What is wrong; the rules of `rules.RULES` say when.
IssueKind: TypeAlias = Literal[
    "recorder_stopped", "broker_lost", "disk_full", "disk_low", "store_damaged", "recorder_behind", "events_missed",
    "workers_gone", "worker_silent", "queue_unconsumed", "queue_growing", "failures_new", "failures_returning",
    "failures_rising", "stuck_tasks",
]  # fmt: skip

_SEVERITY_RANK: Final = {"critical": 0, "warning": 1}


class IssueSubject(msgspec.Struct, frozen=True):
    """What it is about; `id` is "" where there is one only, or several. `query` finds the tasks concerned, "" if there
    are none to be shown."""

    type: Literal["queue", "worker", "failure", "recorder", "store", "tasks"]
    id: str = ""
    query: str = ""


class HealthIssue(msgspec.Struct, frozen=True, kw_only=True):
    """`title` is a few words, `detail` a sentence. `since`: epoch seconds. `value`: the number that it is about, such
    as a depth or a count; `trend` how that was, the oldest first."""

    kind: IssueKind
    severity: Severity
    title: str
    detail: str
    subject: IssueSubject
    started_at: float | None = None
    value: float | None = None
    trend: tuple[float, ...] = ()


class Health(msgspec.Struct, frozen=True):
    """`verdict` is that of the worst concern; `unknown` if no recorder has ever written to the store."""

    status: HealthStatus
    summary: str
    checked_at: float
    issues: tuple[HealthIssue, ...]


def build_health(concerns: Iterable[HealthIssue], *, now: float, recorder_seen: bool) -> Health:
    """`heard`: a recorder has written to the store. Most severe first, of equal ones as the rules stand in their
    table."""
    found = sorted(concerns, key=lambda concern: _SEVERITY_RANK[concern.severity])
    if not found:
        if not recorder_seen:
            return Health("unknown", "No recorder has written to this store yet", now, ())
        return Health("ok", "Nothing is wrong", now, ())
    return Health(found[0].severity, _summarize(found), now, tuple(found))


def _summarize(found: list[HealthIssue]) -> str:
    others = len(found) - 1
    more = "" if not others else ", and one more thing" if others == 1 else f", and {others} more things"
    return f"{found[0].title}{more}"
