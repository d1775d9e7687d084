"""Health rules about missed events: gaps, unreadable messages, and workers whose task events are or were disabled."""

from collections.abc import Iterator
from typing import Final, get_args

from flower.api.health.messages import build_recorder_issue, describe_duration, truncate_name
from flower.api.health.models import HealthIssue, IssueSubject, Severity
from flower.api.health.remedies import ENABLE_EVENTS_REMEDY, describe_no_events, remedy_no_events
from flower.api.health.snapshot import HealthSnapshot
from flower.recorder_status import NoEventsCause, UnreadableReport
from flower.records import Gap

HOUR: Final = 3_600.0
#: Seconds for which the task events of a worker may be disabled after its start without an issue.
MAX_DISABLED_SECONDS: Final = 10.0

#: Serializers by content type.
_SERIALIZERS: Final = {
    "application/x-python-serialize": "pickle",
    "application/x-yaml": "yaml",
    "application/x-msgpack": "msgpack",
}
#: Packages that kombu needs to read a content type.
_PACKAGES: Final = {"yaml": "PyYAML", "msgpack": "msgpack"}


def events_missed(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    recent = [
        gap
        for gap in snapshot.gaps
        if _is_recent(gap, snapshot.now) and gap.cause not in ("worker_events_disabled", "unreadable_messages")
    ]
    if recent:
        newest = max(recent, key=lambda gap: gap.start)
        of_worker = f" of {truncate_name(newest.worker)}" if newest.worker else ""
        if newest.end is None:
            age = describe_duration(snapshot.now - newest.start)
            detail = f"Events{of_worker} may be missing since {age}: {newest.reason}."
        else:
            length = describe_duration(newest.end - newest.start)
            detail = f"Events{of_worker} of a period of {length} may be missing: {newest.reason}."
        if newest.cause == "redis_overflow":
            detail += (
                " Find the task with large arguments or results, or raise the limit in Redis: "
                "CONFIG SET client-output-buffer-limit 'pubsub 256mb 64mb 60'."
            )
        if len(recent) > 1:
            detail += f" {len(recent)} gaps within the last hour."
        yield build_recorder_issue(
            "events_missed", "warning", "Events may be missing", detail, started_at=newest.start,
            value=float(len(recent)),
        )  # fmt: skip


def messages_unreadable(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    report = snapshot.recorder.unreadable
    if report is None or report.gap_start is None or not snapshot.recorder.is_alive(snapshot.now):
        return
    last_event = snapshot.recorder.last_event_at
    severity: Severity = "critical" if last_event is None or last_event < report.gap_start else "warning"
    detail = (
        f"{report.count:,} messages of the broker cannot be read, for "
        f"{describe_duration(snapshot.now - report.gap_start)}: {_explain(report)}"
    )
    yield build_recorder_issue(
        "messages_unreadable", severity, "Events cannot be read", detail, started_at=report.gap_start,
        value=float(report.count),
    )  # fmt: skip


def task_events_disabled(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    gaps = [
        gap
        for gap in snapshot.gaps
        if gap.cause == "worker_events_disabled"
        and gap.end is not None
        and gap.end - gap.start > MAX_DISABLED_SECONDS
        and _is_recent(gap, snapshot.now)
    ]
    if gaps:
        newest = max(gaps, key=lambda gap: gap.start)
        assert newest.end is not None
        names = sorted({gap.worker or "" for gap in gaps})
        others = f" and {len(names) - 1} more workers" if len(names) > 1 else ""
        yield HealthIssue(
            kind="task_events_disabled",
            severity="warning",
            title="Task events were disabled",
            detail=f"{truncate_name(newest.worker or '')}{others} ran without task events, the latest for "
            f"{describe_duration(newest.end - newest.start)}; its tasks of that time may be missing or not current. "
            f"Bellflower has enabled them. {ENABLE_EVENTS_REMEDY}",
            subject=IssueSubject("worker", (newest.worker or "") if len(names) == 1 else ""),
            started_at=newest.start,
            value=float(len(names)),
        )


def workers_without_events(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    """One issue for each cause."""
    if not snapshot.recorder.is_alive(snapshot.now):
        return
    for cause in get_args(NoEventsCause):
        workers = [each for each in snapshot.recorder.workers_without_events if each.cause == cause]
        if not workers:
            continue
        names = [truncate_name(each.name) for each in workers]
        tasks = sum(each.tasks or 0 for each in workers)
        count = f" Tasks started since, without a record: {tasks:,}." if tasks else ""
        subject = names[0] if len(names) == 1 else f"{len(names):,} workers"
        yield HealthIssue(
            kind="workers_without_events",
            severity="warning",
            title=f"No task events of {subject}",
            detail=f"{describe_no_events(cause, names)}.{count} {remedy_no_events(cause)}",
            subject=IssueSubject("worker", workers[0].name if len(workers) == 1 else ""),
            started_at=min(each.since for each in workers),
            value=float(len(workers)),
        )


def _is_recent(gap: Gap, now: float) -> bool:
    return gap.end is None or gap.end > now - HOUR


def _explain(report: UnreadableReport) -> str:
    """Why messages cannot be read, and what to do."""
    encoding = max(report.encodings, key=lambda name: report.encodings[name], default="")
    if "serializer" in report.reasons:
        serializer = _SERIALIZERS.get(encoding, encoding or "unknown")
        package = f"install {_PACKAGES[serializer]} and " if serializer in _PACKAGES else ""
        return (
            f"{serializer} is not accepted. To read them, {package}start Bellflower with the application (-A proj) "
            f"whose accept_content contains '{serializer}', or set event_serializer = 'json' in the workers."
        )
    if "compression" in report.reasons:
        return f"the compression {encoding or 'of the messages'} is not supported here. Install its package."
    if "too large" in report.reasons:
        by = f" ({encoding})" if encoding else ""
        return (
            f"the decompressed body{by} exceeds 64 MB, or contains more than 500,000 objects. Celery sends no such "
            "events. Find the sender."
        )
    sample = f" The first one begins with {truncate_name(report.sample)}." if report.sample else ""
    return f"they are not in the format of Celery events.{sample} Find the sender, or use another event_exchange."
