"""Everything that a store answers, as JSON: one query with every method of the reader and of the ledger."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from flower.counters import WorkerIncarnation
from flower.search.parser import parse_search
from flower.search.tree import EVERYTHING
from flower.store.factory import open_ledger, open_reader
from flower.store.ledger import Ledger
from flower.store.ledger.audit import AuditFilter
from flower.store.protocols import SORT_KEYS, Query, Reader, Sort
from flower.store.query_results import FACETS, BucketSpan

#: Searches with every kind of condition.
SEARCHES = (
    "", "state:FAILURE", "-state:SUCCESS", "name:shop.*", "worker:w1", "queue:mail", "has:traceback", "is:lost",
    "is:waiting", "is:slow", "runtime:>2s", "retries:1..3", "kwargs.order_id:17", "ORD-00017", "declined",
    "source:broker", "state:PROGRESS OR state:REVOKED", "straße", "(billing OR mail) -state:FAILURE",
)  # fmt: skip


def describe_store(path: Path) -> dict[str, Any]:
    """The answers of a store that nothing writes to."""
    with closing(open_reader(path)) as reader, closing(open_ledger(path)) as ledger:
        tasks = list(reader.tasks(Query(sort=())))
        times = [task.time for task in tasks if task.time is not None]
        low = min(times, default=0.0)
        span = BucketSpan(low, (max(times, default=1.0) - low or 1.0) / 8, 9, "time")
        answers = {
            "tasks": [msgspec.structs.asdict(task) for task in tasks],
            "reader": _describe_reader(reader, span, [task.uuid for task in tasks]),
            "ledger": _describe_ledger(ledger),
        }
    return dict(msgspec.json.decode(msgspec.json.encode(answers)))


def _describe_reader(reader: Reader, span: BucketSpan, uuids: list[str]) -> Mapping[str, Any]:
    status = reader.status()
    sample = uuids[:: max(1, len(uuids) // 25)]
    workers = {name: WorkerIncarnation(worker.since, worker.pid) for name, worker in reader.workers().items()}
    return {
        "task": {uuid: reader.task(uuid) for uuid in (*sample, "unknown")},
        "task_page": [_read_pages(reader, search) for search in SEARCHES[:4]],
        "tasks": {
            key: [task.uuid for task in reader.tasks(Query(EVERYTHING, (Sort(key, True),)), limit=30)]
            for key in SORT_KEYS
        },
        "count": {search: reader.count(parse_search(search)) for search in SEARCHES},
        "count_until_deadline": reader.count_until_deadline(EVERYTHING),
        "facets": reader.facets(EVERYTHING, FACETS),
        "histogram": reader.histogram(EVERYTHING, span),
        "summaries": reader.summaries(EVERYTHING, by="name"),
        "timeline": reader.timeline(EVERYTHING, span),
        "failures": reader.failures(EVERYTHING, span=span),
        "failures_seen": reader.failures_seen(),
        "slow_thresholds": reader.slow_thresholds(),
        "names": reader.names(),
        "family": [_describe_family(reader, uuid) for uuid in sample],
        "children": reader.children(uuids),
        "workflows": [(each.root.uuid, each.tasks, each.failed) for each in reader.workflows().workflows],
        "workers": reader.workers(),
        "worker_history": reader.worker_history(),
        "counters": reader.counters(),
        "in_flight": sorted(reader.in_flight(workers), key=lambda each: (each.worker, each.task)),
        "gaps": reader.gaps(),
        "changes": reader.changes(0),
        "recorder_status": dict(reader.recorder_status()),
        "status": {"sequence": status.sequence, "tasks": status.tasks, "damaged": status.damaged},
    }


def _read_pages(reader: Reader, search: str) -> list[str]:
    query, uuids, cursor = Query(parse_search(search)), [], None
    while True:
        page = reader.task_page(query, limit=17, cursor=cursor)
        uuids += [task.uuid for task in page.tasks]
        cursor = page.cursor
        if cursor is None:
            return uuids


def _describe_family(reader: Reader, uuid: str) -> tuple[str, list[str]] | None:
    family = reader.family(uuid)
    return None if family is None else (family.root_id, [task.uuid for task in family.tasks])


def _describe_ledger(ledger: Ledger) -> Mapping[str, Any]:
    parts: Mapping[str, Callable[[], Any]] = {
        "audit": lambda: ledger.audit.entries(AuditFilter(), limit=1_000),
        "tokens": ledger.tokens.tokens,
        "secrets": lambda: ledger.secrets.get_or_create("sample"),
        "jobs": lambda: [(job, ledger.jobs.items(job.id)) for job in ledger.jobs.jobs(limit=100)],
        "queue_samples": lambda: (ledger.queue_samples.latest(), ledger.queue_samples.list_since(0.0)),
        "saved_searches": lambda: [ledger.saved_searches.searches(owner) for owner in ("anna", "bert", "")],
        "failure_notes": lambda: (ledger.failure_notes.notes(), ledger.failure_notes.first_seen()),
        "gap_dismissals": ledger.gap_dismissals.dismissals,
        "reruns": lambda: [ledger.reruns.list_reruns(task) for task in ("order-5", "order-10")],
    }
    return {name: read() for name, read in parts.items()}
