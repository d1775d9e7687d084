"""A pytest plugin: the files that take longest are run first.

pytest-xdist gives one file after the other to the next free process. A file of several minutes that starts last would
keep one process busy while the others are idle. `scripts/tests` therefore turns off the order of xdist itself, which
starts the files with the most tests first, not those that take longest."""

from collections.abc import Mapping

import pytest

from tests.helpers.paths import ROOT

#: Seconds that a file takes on a machine with two cores, for files of 20 seconds and more: `--durations=0` prints
#: those of each test.
SECONDS: Mapping[str, int] = {
    "tests/e2e/test_worker_states.py": 164,
    "tests/ui/test_explorer.py": 148,
    "tests/ui/test_workers.py": 128,
    "tests/e2e/test_kill9.py": 106,
    "tests/capture/drain/test_capture.py": 97,
    "tests/capture/test_enable_events.py": 96,
    "tests/e2e/test_reconciliation.py": 96,
    "tests/ui/test_worker_and_queue_pages.py": 94,
    "tests/e2e/test_result_backend.py": 94,
    "tests/ui/test_gaps.py": 82,
    "tests/ui/test_untrusted_content.py": 80,
    "tests/e2e/test_metrics.py": 77,
    "tests/ui/test_overview.py": 75,
    "tests/chaos/test_short_form.py": 69,
    "tests/http/flower/test_workers.py": 68,
    "tests/ui/test_failures.py": 65,
    "tests/ui/test_task_page.py": 64,
    "tests/e2e/test_startup.py": 63,
    "tests/http/v1/test_openapi_fuzz.py": 61,
    "tests/reconcile/test_reconciler.py": 57,
    "tests/e2e/test_sockets.py": 56,
    "tests/e2e/test_redaction.py": 54,
    "tests/doctor/test_workers.py": 54,
    "tests/api/actions/test_bulk_runner.py": 54,
    "tests/store/test_random_queries.py": 53,
    "tests/e2e/test_slow_clients.py": 53,
    "tests/ui/test_task_states.py": 51,
    "tests/package/test_installation.py": 45,
    "tests/ui/test_stale_figures.py": 45,
    "tests/e2e/test_backup.py": 44,
    "tests/cli/test_processes.py": 41,
    "tests/capture/test_redis_and_rabbitmq.py": 40,
    "tests/web/test_http_protocol.py": 38,
    "tests/e2e/test_worker_lifecycle.py": 38,
    "tests/ui/test_workflows.py": 38,
    "tests/store/sqlite/test_damage.py": 37,
    "tests/ui/test_store_panel.py": 36,
    "tests/e2e/test_reply_queues.py": 35,
    "tests/cluster/queues/test_stats.py": 34,
    "tests/doctor/test_broker.py": 32,
    "tests/cluster/test_network_timeouts.py": 30,
    "tests/cli/test_doctor.py": 29,
    "tests/cli/test_rerun_revoke_jobs.py": 29,
    "tests/e2e/test_event_capture.py": 28,
    "tests/store/sqlite/query/test_segment_scan.py": 27,
    "tests/http/v1/test_stream.py": 27,
    "tests/capture/test_interruption.py": 26,
    "tests/e2e/test_application_import.py": 24,
    "tests/e2e/test_live_stream.py": 24,
    "tests/e2e/test_redelivery.py": 24,
    "tests/e2e/test_untrusted_input.py": 22,
    "tests/store/sqlite/check/test_store_check.py": 22,
    "tests/access/test_sessions.py": 21,
    "tests/ui/test_sign_out.py": 21,
    "tests/store/sqlite/text/test_text_index.py": 20,
    "tests/store/sqlite/test_processes.py": 20,
    "tests/demo/test_demo.py": 20,
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The sort is stable: the tests of a file stay together and in their order.
    items.sort(key=lambda item: -SECONDS.get(item.path.relative_to(ROOT).as_posix(), 0))
