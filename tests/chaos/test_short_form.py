"""The short form of the chaos test: a few scenarios on real brokers with real workers. The full form: `make chaos`."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from chaos.modes import MODES
from chaos.run import RunReport
from tests.helpers.paths import ROOT

#: Seconds until a comparison must be acceptable; generous, because other tests use the machine at the same time.
LIMIT = 90


@pytest.mark.parametrize(
    ("scenario", "mode"),
    [
        ("a-kill-worker", "rabbitmq"),
        ("h-purge", "redis"),
        ("b2-kill-monitor", "redis"),
        ("b2-kill-monitor", "redis-durable"),
    ],
)
def test_states_after_faults_are_right_or_reported(scenario: str, mode: str, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    command = [sys.executable, "-m", "chaos", "--only", scenario, "--broker", mode, "--short", "--limit", str(LIMIT)]
    command += ["--out", str(out)]
    run = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert out.exists(), run.stdout + run.stderr
    (report,) = msgspec.json.decode(out.read_bytes(), type=list[RunReport])
    assert report.error is None, report.error
    assert report.comparisons
    for comparison in report.comparisons:
        assert comparison.tasks > 5
        failures = comparison.results[0].find_failures(has_backend=MODES[mode].has_backend)
        assert failures == [], run.stdout
