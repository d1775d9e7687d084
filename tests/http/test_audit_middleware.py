"""Audit entries of tasks that are sent to a live worker."""

import pytest

from flower.http.v1.openapi_examples import example_store
from flower.store.ledger.audit import AuditFilter
from tests.helpers.clusters import Cluster
from tests.helpers.servers import wait_for
from tests.helpers.web_server import Live


@pytest.mark.parametrize("way", ["apply", "send-task"])
def test_sent_tasks_are_audited(redis_cluster: Cluster, way: str) -> None:
    settings = {"basic_auth": ("olga:o", "vera:v"), "roles": ("olga:operator", "vera:viewer")}
    with Live(example_store(), lambda: redis_cluster.app, **settings) as live:
        body = {"args": [20, 22]}
        assert live.http.post(f"/api/task/{way}/shop.add", json=body, auth=("vera", "v")).status_code == 403
        response = live.http.post(f"/api/task/{way}/shop.add", json=body, auth=("olga", "o"))
        task_id = response.json()["task-id"]
        result = redis_cluster.app.AsyncResult(task_id)
        wait_for("the task", result.ready)
        assert result.get() == 42
        done, refused = live.ledger.audit.entries(AuditFilter(action="task"), limit=5)
        assert (done.user, done.outcome, done.targets) == ("olga", "done", ("shop.add", task_id))
        assert (refused.user, refused.outcome, refused.targets) == ("vera", "refused", ("shop.add",))
        assert [each.id for each in live.ledger.audit.entries(AuditFilter(target=task_id), limit=5)] == [done.id]
