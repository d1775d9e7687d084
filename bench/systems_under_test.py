"""The systems under test: how each is started, observed from outside, and stopped."""

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
from bench.visibility_check import HttpClient
from tests.helpers.servers import free_port

#: Retention of both systems: no task is removed during a run.
MAX_TASKS = 20_000_000


@dataclass(frozen=True, slots=True)
class System:
    """`options` are formatted with `{port}` and `{folder}`. `page` is the number of tasks per request (None: all
    tasks in one response, because its pages are not cheaper)."""

    name: str
    python: Path
    options: tuple[str, ...]
    page_size: int | None = None
    #: options that make it persistent, if it is not by default
    durable: tuple[str, ...] = ()


def flower() -> System:
    return System(
        "flower",
        flower_python(),
        options=("--address=127.0.0.1", "--port={port}", f"--max_tasks={MAX_TASKS}"),
        durable=("--persistent=True", "--db={folder}/flower", "--state_save_interval=5000"),
    )


def bellflower() -> System:
    return System(
        "bellflower",
        Path(sys.executable),
        options=("--address=127.0.0.1", "--port={port}", f"--max-tasks={MAX_TASKS}", "--db={folder}/store"),
        page_size=5_000,
    )


def bellflower_at(commit: str) -> System:
    """Bellflower at an older commit."""
    return replace(bellflower(), name="base", python=checkout_python(commit))


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of all processes together. PSS counts a page that several processes share once."""

    rss: int
    pss: int
    #: the command line of each process, and its PSS
    each: list[tuple[str, int]]


@dataclass(slots=True)
class SystemProcess:
    """The processes of one system on a broker, with a folder that survives a restart. The context manager stops the
    processes and deletes the folder."""

    system: System
    broker: str
    durable: bool = False
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="bellflower-bench-")))
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    _tracked: dict[int, psutil.Process] = field(default_factory=dict)

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
            "FLOWER_EVENT_DRAIN_LINGER": "0",
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

    def client(self) -> HttpClient:
        return HttpClient(self.port, page_size=self.system.page_size, check_alive=self.check)

    def check(self) -> None:
        """Raises RuntimeError with the end of the log if the system has exited."""
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"{self.system.name} has exited: {self.log.read_text(errors='replace')[-2000:]}")

    def processes(self) -> list[psutil.Process]:
        """All of its processes that are running."""
        assert self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = self._track(psutil.Process(self.process.pid))
            for child in parent.children(recursive=True):
                self._track(child)
        return [process for process in self._tracked.values() if process.is_running()]

    def cpu_seconds(self) -> float:
        """User and system time of all processes since the start, including children that exited."""
        total = 0.0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def cpu_by_process(self) -> dict[str, float]:
        """User and system time of each running process, by the end of its command line."""
        parts: dict[str, float] = {}
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                parts[" ".join(process.cmdline()[-3:])] = times.user + times.system
        return parts

    def memory(self) -> Memory:
        rss = pss = 0
        each: list[tuple[str, int]] = []
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                details = process.memory_full_info()
                rss += details.rss
                pss += details.pss
                each.append((" ".join(process.cmdline()), details.pss))
        return Memory(rss, pss, each)

    def kill(self) -> None:
        """Send SIGKILL to every process, to the parent first so that it cannot start another."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._wait_for_exit()

    def stop(self) -> None:
        if self.process is None:
            return
        processes = self.processes()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, remaining = psutil.wait_procs(processes, timeout=20)
        for process in remaining:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._wait_for_exit()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is not None and self.log.exists():
            error.add_note(f"The log of {self.system.name} ends:\n{self.log.read_text(errors='replace')[-3000:]}")
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_for_exit(self) -> None:
        assert self.process is not None
        psutil.wait_procs(list(self._tracked.values()), timeout=20)
        self.process.wait(20)
        self.process = None
        self._tracked.clear()

    def _track(self, process: psutil.Process) -> psutil.Process:
        return self._tracked.setdefault(process.pid, process)


def wait_idle(running: SystemProcess, *, idle_for: float = 4.0, limit: float = 300.0) -> float:
    """Wait until the system has used almost no processor time for `idle_for` seconds. Returns the seconds before."""
    started_at = idle_since = time.monotonic()
    used = running.cpu_seconds()
    while time.monotonic() - idle_since < idle_for and time.monotonic() - started_at < limit:
        time.sleep(0.5)
        now = running.cpu_seconds()
        if now - used > 0.05:
            idle_since = time.monotonic()
        used = now
    return idle_since - started_at
