"""A pytest plugin: the run fails if a collected test did not run.

A test can be lost without any message: pytest-xdist, for example, runs one test of each node id, however many tests
have it. So the tests that ran (passed, failed, expected to fail, or skipped with a reason) are counted and compared
with the tests that were collected.

`scripts/tests` runs the tests in two parts: first all but those marked `alone`, on several processes, then those. Each
part is selected by `--part`, and `--counts FILE` carries the count of the first part to the second, which compares the
sum with the number of all tests."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

#: A marker and the part of the run that its tests belong to.
ALONE = "alone"

#: Phases of a test that end it: "???" is that of a test whose xdist worker crashed.
LAST_PHASES = ("teardown", "???")

#: The reason that pytest reports for `@pytest.mark.skip` without one.
NO_REASON = ("", "unconditional skip")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bellflower")
    group.addoption("--part", choices=("shared", ALONE), help="run all tests but those marked `alone`, or only those")
    group.addoption("--counts", type=Path, metavar="FILE", help="file with the counts of the parts that ran before")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Worker(config) if hasattr(config, "workeroutput") else RunCount(config), "run-count")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Selects the part, after pytest has applied `-k` and `-m`."""
    plugin = config.pluginmanager.get_plugin("run-count")
    assert plugin is not None
    plugin.all_tests = len(items)
    part = config.getoption("part")
    if part:
        alone = [item for item in items if item.get_closest_marker(ALONE)]
        shared = [item for item in items if not item.get_closest_marker(ALONE)]
        items[:], others = (alone, shared) if part == ALONE else (shared, alone)
        if others:
            config.hook.pytest_deselected(items=others)


class _Worker:
    """Sends the number of all tests from an xdist worker to the controller, which collects none itself."""

    all_tests = 0

    def __init__(self, config: pytest.Config) -> None:
        self._output: dict[str, Any] = config.workeroutput  # type: ignore[attr-defined]

    def pytest_sessionfinish(self) -> None:
        self._output["all_tests"] = self.all_tests


class RunCount:
    """Counts in the process that reports: the only one, or the controller of xdist."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._collected: Counter[str] = Counter()
        self._ran: Counter[str] = Counter()
        self._without_reason: list[str] = []
        #: in both parts
        self.all_tests = 0
        #: what is wrong, for the end of the report
        self.problems: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.items:
            self._collected = Counter(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self._collected = Counter(ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.all_tests = max(self.all_tests, getattr(node, "workeroutput", {}).get("all_tests", 0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when in LAST_PHASES:
            self._ran[report.nodeid] += 1
        if report.skipped and not hasattr(report, "wasxfail") and _skip_reason(report) in NO_REASON:
            self._without_reason.append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        stopped = session.shouldstop or session.shouldfail  # by --maxfail: not everything was to run
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
        if self._config.option.collectonly or stopped or not ended:
            return
        self.problems += _differences(self._collected, self._ran)
        self.problems += [f"{test} was skipped without a reason" for test in self._without_reason]
        counts: Path | None = self._config.getoption("counts")
        if counts is not None:
            self.problems += self._compare_parts(counts)
        if self.problems:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _compare_parts(self, file: Path) -> list[str]:
        """After the last part: whether the parts together ran all tests. After the first: keep its count."""
        ran = self._ran.total()
        if self._config.getoption("part") != ALONE:
            file.write_text(json.dumps(ran))
            return []
        before = json.loads(file.read_text())
        if before + ran == self.all_tests:
            return []
        return [f"{self.all_tests} tests were collected, and {before} and {ran} ran in the two parts"]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.problems:
            terminalreporter.section("not every collected test ran", red=True)
            for problem in self.problems:
                terminalreporter.line(problem)


def _differences(collected: Counter[str], ran: Counter[str]) -> Iterable[str]:
    if collected.total() == ran.total():
        return
    yield f"{collected.total()} tests were collected, {ran.total()} ran"
    for test, count in collected.items():
        if ran[test] != count:
            yield f"{test} was collected {count} x and ran {ran[test]} x"


def _skip_reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr or "")
    return text.removeprefix("Skipped").removeprefix(": ").strip()
