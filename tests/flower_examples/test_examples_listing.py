"""The usage examples of Flower's task-management API that read tasks, unchanged except for their indentation, on a
running `Events` with a live worker."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from flower.events import Events
from flower.utils.search import parse_search_terms, satisfies_search_terms
from flower.utils.tasks import TASK_STATES, as_dict, get_task_by_id, iter_tasks, sort_keys, sort_tasks
from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.clusters import Cluster
from tests.helpers.servers import Redis, wait_for

FILTERING = """
from flower.utils.tasks import iter_tasks, get_task_by_id
from flower.events import Events

# Assume we have an events instance with task data
events = Events(celery_app, io_loop)

# Get all failed tasks
failed_tasks = list(iter_tasks(
    events,
    state='FAILURE',
    limit=100
))

print(f"Found {len(failed_tasks)} failed tasks")

# Get tasks from specific worker
worker_tasks = list(iter_tasks(
    events,
    worker='celery@worker1',
    limit=50
))

# Get recent tasks
from datetime import datetime, timedelta
recent_tasks = list(iter_tasks(
    events,
    received_start=datetime.now() - timedelta(hours=1),
    sort_by='received'
))
"""

SEARCH = """
from flower.utils.search import parse_search_terms, satisfies_search_terms

# Parse search query
search_terms = parse_search_terms('name:my_task state:FAILURE')

# Find matching tasks
matching_tasks = []
for task in iter_tasks(events):
    if satisfies_search_terms(task, search_terms):
        matching_tasks.append(task)

# Search with text query
text_search = parse_search_terms('error database connection')
error_tasks = [
    task for task in iter_tasks(events, state='FAILURE')
    if satisfies_search_terms(task, text_search)
]
"""

BATCHES = """
# Process tasks in batches
def process_tasks_batch(events, batch_size=1000):
    offset = 0

    while True:
        batch = list(iter_tasks(
            events,
            limit=batch_size,
            offset=offset,
            sort_by='received'
        ))

        if not batch:
            break

        # Process batch
        for task in batch:
            process_single_task(task)

        offset += batch_size
"""

ANALYTICS = """
from collections import Counter
from datetime import datetime, timedelta

def analyze_task_performance(events):
    \"\"\"Generate task performance analytics.\"\"\"

    # Get tasks from last 24 hours
    yesterday = datetime.now() - timedelta(days=1)
    recent_tasks = list(iter_tasks(
        events,
        received_start=yesterday,
        sort_by='received'
    ))

    # Task counts by state
    state_counts = Counter(task['state'] for task in recent_tasks)

    # Task counts by name
    name_counts = Counter(task['name'] for task in recent_tasks)

    # Average runtime by task name
    runtime_by_name = {}
    for task_name in name_counts:
        runtimes = [
            task['runtime'] for task in recent_tasks
            if task['name'] == task_name and task.get('runtime')
        ]
        if runtimes:
            runtime_by_name[task_name] = sum(runtimes) / len(runtimes)

    return {
        'total_tasks': len(recent_tasks),
        'state_distribution': dict(state_counts),
        'task_distribution': dict(name_counts),
        'average_runtimes': runtime_by_name,
        'success_rate': state_counts['SUCCESS'] / len(recent_tasks) if recent_tasks else 0
    }
"""

SAFE_SEARCH = """
# Handle search and filtering edge cases
def safe_task_search(events, **filters):
    try:
        return list(iter_tasks(events, **filters))
    except Exception as e:
        print(f"Task search failed: {e}")
        return []
"""

ENDED = 14


@pytest.fixture(scope="module")
def own_cluster(module_redis: Redis) -> Iterator[Cluster]:
    app = make(module_redis.url, module_redis.url)
    with Worker(app) as worker:
        yield Cluster(app, worker)


@pytest.fixture(scope="module")
def watched(own_cluster: Cluster) -> Iterator[Events]:
    """Events after ten successes, two failures, a retried task and a slow one."""
    tasks = own_cluster.app.tasks
    # Events only: what else reconciliation finds depends on the time that the start takes.
    with Events(own_cluster.app, None, reconcile=False) as events:
        capture = lambda: events.store.recorder_status().get("capture", {})  # noqa: E731
        wait_for("capture", lambda: bool(capture().get("connected")))
        sent = [tasks["shop.add"].delay(number, 1).id for number in range(10)]
        sent += [tasks["shop.fail"].delay("error in database connection").id for _ in range(2)]
        sent += [tasks["shop.again"].delay().id, tasks["shop.rest"].delay(0.2).id]

        def ended() -> bool:
            known = [events.store.task(uuid) for uuid in sent]
            return all(task is not None and task.state in ("SUCCESS", "FAILURE") for task in known)

        wait_for("all of them", ended)
        yield events


def example(code: str, **names: Any) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "example", **names}
    exec(compile(code, "<example>", "exec"), namespace)
    return namespace


@pytest.mark.parametrize("io_loop", [None, object()])
def test_filtering(own_cluster: Cluster, io_loop: object, capsys: pytest.CaptureFixture[str]) -> None:
    """An `Events` that was never started has no tasks."""
    made = example(FILTERING, celery_app=own_cluster.app, io_loop=io_loop)
    assert capsys.readouterr().out == "Found 0 failed tasks\n"
    assert (made["worker_tasks"], made["recent_tasks"]) == ([], [])


def test_filtering_live(watched: Events, own_cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    code = FILTERING.replace("events = Events(celery_app, io_loop)", "")
    made = example(code.replace("celery@worker1", own_cluster.worker.hostname), events=watched)
    assert capsys.readouterr().out == "Found 2 failed tasks\n"
    assert len(made["worker_tasks"]) == len(made["recent_tasks"]) == ENDED
    received = [task["received"] for task in made["recent_tasks"]]
    assert received == sorted(received)
    failed = made["failed_tasks"][0]
    assert failed["exception"] == "ValueError('error in database connection')"
    assert failed["args"] == ["error in database connection"]
    assert failed["hostname"] == failed["worker"]["hostname"] == own_cluster.worker.hostname
    assert failed["worker"]["sw_ident"] == "py-celery"


def test_searching(watched: Events) -> None:
    made = example(SEARCH, events=watched, iter_tasks=iter_tasks)
    assert made["matching_tasks"] == []
    assert len(made["error_tasks"]) == 2
    terms = parse_search_terms("name:shop.fail state:failure")
    by_hand = [task["uuid"] for task in iter_tasks(watched) if satisfies_search_terms(task, terms)]
    assert by_hand == [task["uuid"] for task in iter_tasks(watched, search="name:shop.fail state:failure")]
    assert len(by_hand) == 2


def test_batches(watched: Events) -> None:
    seen: list[str] = []
    made = example(BATCHES, iter_tasks=iter_tasks, process_single_task=lambda task: seen.append(task["uuid"]))
    made["process_tasks_batch"](watched, batch_size=4)
    assert len(seen) == len(set(seen)) == ENDED


def test_analytics(watched: Events) -> None:
    figures = example(ANALYTICS, iter_tasks=iter_tasks)["analyze_task_performance"](watched)
    assert figures["total_tasks"] == ENDED
    assert figures["state_distribution"] == {"SUCCESS": 12, "FAILURE": 2}
    assert figures["task_distribution"] == {"shop.add": 10, "shop.fail": 2, "shop.again": 1, "shop.rest": 1}
    assert figures["average_runtimes"]["shop.rest"] >= 0.2
    assert figures["success_rate"] == pytest.approx(12 / 14)


def test_safe_search(watched: Events, capsys: pytest.CaptureFixture[str]) -> None:
    search = example(SAFE_SEARCH, iter_tasks=iter_tasks)["safe_task_search"]
    assert len(search(watched, state="SUCCESS")) == 12
    assert search(watched, search="(unfinished") == []
    assert search(watched, sort_by="colour") == []
    lines = capsys.readouterr().out.splitlines()
    assert "position" in lines[0]
    assert "received" in lines[1]


def test_running_events_are_the_default(watched: Events) -> None:
    assert len(list(iter_tasks(None))) == ENDED


def test_one_task(watched: Events) -> None:
    (again,) = iter_tasks(watched, type="shop.again")
    assert get_task_by_id(watched, again["uuid"]) == again
    assert get_task_by_id(watched, "no-such-id") is None
    record = watched.store.task(again["uuid"])
    assert record is not None
    assert as_dict(record)["uuid"] == again["uuid"]
    assert [attempt["state"] for attempt in again["attempts"]] == ["RETRY", "RETRY", "SUCCESS"]
    assert again["state"] in TASK_STATES
    assert sort_keys["worker"](record) == again["hostname"]
    slowest = sort_tasks(list(iter_tasks(watched)), "-runtime")[0]
    assert slowest["name"] == "shop.rest"
    hour = timedelta(hours=1)
    assert len(list(iter_tasks(watched, started_start=datetime.now() - hour, started_end=datetime.now()))) == ENDED
    assert Counter(task["name"] for task in iter_tasks(watched, offset=2, limit=3)).total() == 3
