"""Tests mirror the source: the test of a module or package has its name, in the folder of the same name.

`src/flower/store/sqlite/query/offsets.py` is tested by `tests/store/sqlite/query/test_offsets.py`."""

from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

SOURCE, TESTS = ROOT / "src" / "flower", ROOT / "tests"

#: Folders of tests that do not mirror a package.
OTHER_FOLDERS = {
    "bench": "the benchmark in bench/",
    "chaos": "the chaos test in chaos/",
    "e2e": "the running product",
    "flower_e2e": "promises of Flower, tested on Flower and Bellflower",
    "flower_examples": "examples of the documentation of the Python API",
    "fuzz": "the fuzz targets in fuzz/",
    "helpers": "code that tests share",
    "package": "the repository: layout, documentation, contrib/, import time",
    "ui": "the pages, in a browser",
}

#: Tests of more than one module, and tests of documents, by what they test.
OTHER_TESTS = {
    "access/oauth/test_oauth_login.py": "all providers",
    "api/test_consistent_numbers.py": "all places that show numbers of tasks",
    "capture/test_redis_and_rabbitmq.py": "both brokers, with the same tests",
    "cli/test_mistakes.py": "mistyped options and names in all commands",
    "cli/test_cli_docs.py": "docs/cli.md",
    "cli/test_commands.py": "all commands, in one process",
    "cli/test_processes.py": "all commands, in subprocesses",
    "cli/test_rerun_revoke_jobs.py": "the commands that act on tasks",
    "cluster/test_network_timeouts.py": "the time limits of all network calls",
    "cluster/queues/test_lengths.py": "queue lengths on live brokers",
    "http/test_route_permissions.py": "the permissions of all routes",
    "http/v1/test_api_docs.py": "docs/api.md",
    "http/v1/test_errors.py": "the errors of all routes",
    "http/v1/test_openapi_fuzz.py": "generated requests to all routes",
    "metrics/test_dashboard_and_alerts.py": "contrib/",
    "metrics/test_metrics_docs.py": "docs/metrics.md",
    "search/test_agreement.py": "all evaluators of the query language",
    "search/test_search_docs.py": "docs/search.md",
    "store/sqlite/test_concurrent_access.py": "readers and a writer in processes",
    "store/sqlite/test_file_copies.py": "copies of single files of a store",
    "store/sqlite/test_full_disk.py": "writes of all parts of a store",
    "store/sqlite/test_opening.py": "reader and writer: foreign and read-only directories",
    "store/sqlite/test_processes.py": "readers and writers in processes and threads",
    "store/sqlite/test_quarantine.py": "damaged segments and meta.db",
    "store/sqlite/test_query_deadline.py": "the time limit in all queries",
    "store/sqlite/test_random_damage.py": "all files of a store",
    "store/sqlite/test_random_event_sequences.py": "SQLite against the store in memory",
    "store/sqlite/text/test_text_index.py": "all modules of the text index",
    "store/test_counters.py": "counters in both stores",
    "store/test_in_flight.py": "tasks in flight in both stores",
    "store/test_protocols_conformance.py": "the protocols, in both stores",
    "store/test_random_queries.py": "random queries in both stores",
    "store/test_workflows.py": "workflows in both stores",
    "test_config_docs.py": "docs/configuration.md",
    "web/test_worker_and_queue_pages.py": "pages and table of workers and queues",
}

MIRRORED = [
    path.relative_to(TESTS)
    for path in sorted(TESTS.rglob("test_*.py"))
    if path.relative_to(TESTS).parts[0] not in OTHER_FOLDERS
]


def modules_of(test: Path) -> list[Path]:
    """The modules and packages whose test has this name: `x/test_y.py` tests `x/y.py` or `x/y/`, `y/test_y.py` tests
    `y/`."""
    name = test.stem.removeprefix("test_")
    folder = SOURCE / test.parent
    return [folder / f"{name}.py", folder / name] + ([folder] if test.parent.name == name else [])


@pytest.mark.parametrize("folder", sorted({test.parent for test in MIRRORED}), ids=str)
def test_folder_mirrors_a_package(folder: Path) -> None:
    assert (SOURCE / folder / "__init__.py").is_file(), f"there is no package src/flower/{folder}"
    assert (TESTS / folder / "__init__.py").is_file(), f"tests/{folder} is no package"


@pytest.mark.parametrize("test", MIRRORED, ids=str)
def test_file_has_the_name_of_what_it_tests(test: Path) -> None:
    if test.as_posix() not in OTHER_TESTS:
        assert any(path.exists() for path in modules_of(test)), f"name tests/{test} after a module, or list it here"


def test_lists_name_existing_files_and_folders() -> None:
    assert all((TESTS / folder).is_dir() for folder in OTHER_FOLDERS)
    assert not [test for test in OTHER_TESTS if not (TESTS / test).is_file()]
    assert not [test for test in OTHER_TESTS if any(path.exists() for path in modules_of(Path(test)))]
