"""Importing the application: it may configure logging itself, and the process must end while it is imported."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from tests.helpers.servers import free_port, wait_for

APPLICATION = """
import logging.config
import os
from celery import Celery, signals

app = Celery("proj", broker="memory://")
app.conf.include = ["slow"] if "SLOW" in os.environ else []


def configure(**_):
    if "SLOW" not in os.environ:
        logging.config.dictConfig({
            "version": 1,
            "disable_existing_loggers": os.environ["DISABLE"] == "True",
            "formatters": {"own": {"format": "APPLICATION %(name)s %(message)s"}},
            "handlers": {"own": {"class": os.environ["HANDLER"], "formatter": "own"} | FILE},
            "root": {"handlers": ["own"], "level": "INFO"},
            "loggers": {"flower": {"handlers": ["own"], "level": "ERROR"}},
        })


FILE = {"filename": "application.log"} if os.environ.get("HANDLER") == "logging.FileHandler" else {}
if os.environ.get("WHEN") == "import":
    configure()
else:  # as Celery's Django support does
    signals.import_modules.connect(configure, weak=False)
"""

#: The lines of the web process that are written after the application was imported.
LATE_LINES = ("Broker: memory://", "Registered tasks:")


class Started:
    """A command in a folder with the application, which is terminated at the end."""

    def __init__(self, folder: Path, *command: str, **environment: str) -> None:
        (folder / "proj.py").write_text(APPLICATION)
        (folder / "slow.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
        self.output = folder / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=folder, stdout=output, stderr=output,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            )  # fmt: skip

    def stop(self) -> float:
        """Send SIGTERM; returns the seconds until the exit."""
        sent = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
        return time.monotonic() - sent


@pytest.mark.parametrize("disable", [True, False])
@pytest.mark.parametrize("when", ["import", "import_modules"])
@pytest.mark.parametrize("log_file", [True, False])
def test_log_lines_are_written_once_whatever_logging_the_application_configures(
    when: str, disable: bool, log_file: bool, tmp_path: Path
) -> None:
    options = ["--log-file-prefix=own.log"] if log_file else []
    started = Started(
        tmp_path, "celery", "-A", "proj", "flower", f"--port={free_port()}", "--db=store", *options,
        WHEN=when, DISABLE=str(disable), HANDLER="logging.FileHandler" if log_file else "logging.StreamHandler",
    )  # fmt: skip
    own = tmp_path / ("own.log" if log_file else "output")
    try:
        wait_for("the log", lambda: own.exists() and LATE_LINES[-1] in own.read_text())
    finally:
        started.stop()
    for text in ("Visit me at", *LATE_LINES):
        assert own.read_text().count(text) == 1
        assert re.search(rf" flower\.[\w.]+\] {re.escape(text)}", own.read_text())
    if log_file:
        assert "flower." not in (tmp_path / "application.log").read_text()
        assert not any(text in (tmp_path / "output").read_text() for text in LATE_LINES)


@pytest.mark.parametrize(
    "command",
    [
        ("celery", "-A", "proj", "flower"),
        ("flower", "-A", "proj"),
        ("flower", "web", "-A", "proj"),
        ("flower", "record", "-A", "proj"),
    ],
)
def test_sigterm_ends_the_process_while_the_application_is_imported(command: tuple[str, ...], tmp_path: Path) -> None:
    port = () if "record" in command else (f"--port={free_port()}",)
    started = Started(tmp_path, *command, "--db=store", *port, SLOW="1")
    wait_for("the import", lambda: "importing" in started.output.read_text())
    seconds = started.stop()
    assert started.process.returncode == 0
    assert "Traceback" not in started.output.read_text()
    assert seconds < 5
