"""The systems that are measured, and how one is started, looked at from outside, and ended."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from bench.install import ROOT, checkout_python, flower_python
from bench.visibility_check import View
from tests.helpers.servers import free_port

#: Neither may forget a task while it is measured.
MAX_TASKS = 20_000_000


@dataclass(frozen=True, slots=True)
class System:
    """`options` are given a `{port}` and a `{folder}`; `page` is how many tasks to ask of it at once
    (None: everything in one answer, as it has no cheap pages); `window` see `bench.event_feed`."""

    name: str
    python: Path
    options: tuple[str, ...]
    window: int
    page: int | None = None
    #: What makes it remember, where that is not how it comes.
    durable: tuple[str, ...] = ()


def flower() -> System:
    return System(
        "flower",
        flower_python(),
        options=("--address=127.0.0.1", "--port={port}", f"--max_tasks={MAX_TASKS}"),
        window=5_000,
        durable=("--persistent=True", "--db={folder}/flower", "--state_save_interval=5000"),
    )


def bellflower() -> System:
    return System(
        "bellflower",
        Path(sys.executable),
        options=("--address=127.0.0.1", "--port={port}", f"--max-tasks={MAX_TASKS}", "--db={folder}/store"),
        window=100_000,
        page=5_000,
    )


def bellflower_at(commit: str) -> System:
    """Bellflower as it was."""
    return replace(bellflower(), name="base", python=checkout_python(commit))


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes, of all processes together. `own` (PSS) counts a page that several share once."""

    resident: int
    own: int
    #: each process by the end of its command line, and what is its own
    each: list[tuple[str, int]]


@dataclass(slots=True)
class Running:
    """A system on a broker, in a folder of its own that outlives a restart; the context manager sees to it
    that neither processes nor folder stay behind."""

    system: System
    broker: str
    durable: bool = False
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="bellflower-bench-")))
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    _family: dict[int, psutil.Process] = field(default_factory=dict)

    def command(self) -> list[str]:
        options = self.system.options + (self.system.durable if self.durable else ())
        filled = (option.format(port=self.port, folder=self.folder) for option in options)
        return [str(self.system.python), "-m", "celery", "-A", "bench.celery_app", "flower", *filled]

    def start(self) -> None:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("FLOWER_", "CELERY_"))},
            "PYTHONPATH": str(ROOT),
            "BENCH_BROKER": self.broker,
            "FLOWER_UNAUTHENTICATED_API": "true",
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def view(self) -> View:
        return View(self.port, page=self.system.page, alive=self.check)

    def check(self) -> None:
        """Raises with the end of the log if the system has ended by itself."""
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"{self.system.name} has ended: {self.log.read_text(errors='replace')[-2000:]}")

    def family(self) -> list[psutil.Process]:
        """All of its processes that live."""
        assert self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = self._remember(psutil.Process(self.process.pid))
            for child in parent.children(recursive=True):
                self._remember(child)
        return [process for process in self._family.values() if process.is_running()]

    def cpu_seconds(self) -> float:
        """User and system time of all processes since the start, ended children included."""
        total = 0.0
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def memory(self) -> Memory:
        resident = own = 0
        each: list[tuple[str, int]] = []
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                details = process.memory_full_info()
                resident += details.rss
                own += details.pss
                each.append((" ".join(process.cmdline()[-3:]), details.pss))
        return Memory(resident, own, each)

    def kill(self) -> None:
        """SIGKILL to every process, the parent first so that it cannot start another."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._gone()

    def stop(self) -> None:
        if self.process is None:
            return
        family = self.family()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(family, timeout=20)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._gone()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is not None and self.log.exists():
            error.add_note(f"The log of {self.system.name} ends:\n{self.log.read_text(errors='replace')[-3000:]}")
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _gone(self) -> None:
        assert self.process is not None
        psutil.wait_procs(list(self._family.values()), timeout=20)
        self.process.wait(20)
        self.process = None
        self._family.clear()

    def _remember(self, process: psutil.Process) -> psutil.Process:
        return self._family.setdefault(process.pid, process)


def wait_idle(running: Running, *, calm: float = 4.0, limit: float = 300.0) -> float:
    """Wait until the system has hardly used a processor for `calm` seconds; gives the seconds until the calm began."""
    began = quiet = time.monotonic()
    used = running.cpu_seconds()
    while time.monotonic() - quiet < calm and time.monotonic() - began < limit:
        time.sleep(0.5)
        now = running.cpu_seconds()
        if now - used > 0.05:
            quiet = time.monotonic()
        used = now
    return quiet - began
