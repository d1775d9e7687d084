"""Orchestrates the demo: directory, broker, two workers, traffic and Bellflower; everything is removed at the end."""

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from flower.demo import broker
from flower.demo.processes import ChildProcess, ProcessGroup
from flower.errors import BackendUnavailable, FlowerError, InvalidRequest

#: Read by `flower.demo.shop` (which imports Celery; this module need not).
BROKER_VARIABLE, PACE_VARIABLE = "BELLFLOWER_DEMO_BROKER", "BELLFLOWER_DEMO_PACE"
DEFAULT_PORT = 5555
#: Seconds until a child process must be ready.
START_TIMEOUT = 60.0
#: Tasks per second that one process of the first worker completes without shortened durations.
TASKS_PER_PROCESS = 4.0


@dataclass(frozen=True)
class DemoSettings:
    """`rate` is in tasks per second; `tasks` None means unlimited; `port` None means 5555 or a free port."""

    tasks: int | None = None
    rate: float = 5.0
    port: int | None = None
    seed: int | None = None
    concurrency: int = 2
    web: bool = True

    @property
    def duration_factor(self) -> float:
        """The factor for durations in the shop that lets its workers keep up with the rate."""
        return min(1.0, TASKS_PER_PROCESS * self.concurrency / self.rate)


class Demo:
    """The processes and the directory of one run of the demo. Both are removed on exit."""

    def __init__(self, settings: DemoSettings) -> None:
        self.settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="bellflower-demo-"))
        self.children = ProcessGroup(self.folder)
        self.stop = threading.Event()
        self.broker_port = broker.free_port()

    @property
    def broker_url(self) -> str:
        return f"redis://127.0.0.1:{self.broker_port}/0"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def environment(self) -> dict[str, str]:
        """Without the caller's Celery and Flower settings: CELERY_BROKER_URL would send the orders of the shop to a
        real broker. TMPDIR is in the directory of the demo: a killed child process leaves temporary files behind."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CELERY_", "FLOWER_"))}
        own = {
            BROKER_VARIABLE: self.broker_url,
            PACE_VARIABLE: str(self.settings.duration_factor),
            "TMPDIR": str(self.folder),
        }
        # Loopback only, and demo data: the API is open without authentication. The demo leaves no process behind.
        return {**inherited, **own, "FLOWER_UNAUTHENTICATED_API": "true", "FLOWER_EVENT_DRAIN_LINGER": "0"}

    def start_broker(self) -> None:
        child = self.children.start("broker", broker.server_command(self.broker_port, self.folder), self.environment)
        self.wait_for(child, lambda: broker.is_port_open(self.broker_port))

    def start_worker(self, name: str, queues: str) -> ChildProcess:
        command = [
            *(sys.executable, "-m", "celery", "-A", "flower.demo.shop", "worker", "-E", "--without-mingle"),
            *("-n", f"{name}@shop", "-Q", queues, "-c", str(self.settings.concurrency), "--loglevel", "INFO"),
        ]
        # QUIT ends the tasks that run: their results are not needed when the demo stops.
        return self.children.start(f"worker-{name}", command, self.environment, signal.SIGQUIT)

    def start_workers(self) -> None:
        workers = [self.start_worker("orders", "default,media"), self.start_worker("mail", "mail")]
        for worker in workers:
            self.wait_for(worker, lambda log=worker.log: b" ready." in log.read_bytes())  # type: ignore[misc]

    def start_server(self) -> str:
        """Start Bellflower as a user would. Returns its URL."""
        port = self.settings.port or _choose_port(DEFAULT_PORT)
        if broker.is_port_open(port):
            raise InvalidRequest(f"Port {port} is in use", hint="choose another port with --port")
        command = [
            *(sys.executable, "-m", "celery", "-A", "flower.demo.shop", "flower"),
            *("--address=127.0.0.1", f"--port={port}", f"--db={self.store}"),
        ]
        child = self.children.start("flower", command, self.environment)
        self.wait_for(child, lambda: broker.is_port_open(port))
        return f"http://127.0.0.1:{port}"

    def start_traffic(self) -> ChildProcess:
        command = [sys.executable, "-m", "flower.demo.traffic", "--rate", str(self.settings.rate)]
        if self.settings.tasks is not None:
            command += ["--tasks", str(self.settings.tasks)]
        if self.settings.seed is not None:
            command += ["--seed", str(self.settings.seed)]
        return self.children.start("traffic", command, self.environment)

    def wait_for(self, child: ChildProcess, ready: Callable[[], bool]) -> None:
        """Wait until it is ready or stop is requested. Raises BackendUnavailable if it exits or takes too long."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self.stop.is_set() and not ready():
            if child.status is not None:
                raise BackendUnavailable(f"{child.name} exited immediately:\n{child.log_tail()}")
            if time.monotonic() > deadline:
                raise BackendUnavailable(f"{child.name} was not ready after {START_TIMEOUT:.0f} s:\n{child.log_tail()}")
            self.stop.wait(0.05)

    def watch(self, traffic: ChildProcess, echo: Callable[[str], None]) -> None:
        """Wait until stop is requested. Raises BackendUnavailable if a child process fails."""
        announced = False
        while not self.stop.wait(0.3):
            if failed := self.children.find_failed():
                raise BackendUnavailable(f"{failed.name} exited with status {failed.status}:\n{failed.log_tail()}")
            if not announced and traffic.status == 0:
                announced = True
                echo("All tasks have been sent. Press Ctrl-C to stop.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.children.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _choose_port(port: int) -> int:
    return port if not broker.is_port_open(port) else broker.free_port()


def run_demo(settings: DemoSettings, echo: Callable[[str], None]) -> int:
    """Run until Ctrl-C (or TERM, or HUP). Returns the exit status. Must be called from the main thread."""
    with Demo(settings) as demo:
        _stop_on_signals(demo.stop)
        try:
            _run(demo, echo)
        except FlowerError as error:
            echo(f"The demo stopped: {error}")
            return 1
    echo("Stopped. All demo data removed.")
    return 0


def _run(demo: Demo, echo: Callable[[str], None]) -> None:
    demo.start_broker()
    echo(f"Starting demo (broker {demo.broker_url}) …")
    address = demo.start_server() if demo.settings.web else None
    demo.start_workers()
    traffic = demo.start_traffic()
    if not demo.stop.is_set():
        echo(_startup_message(demo, address))
    demo.watch(traffic, echo)


def _startup_message(demo: Demo, address: str | None) -> str:
    settings = demo.settings
    total = f", {settings.tasks} tasks in total" if settings.tasks is not None else ""
    lines = [f"Demo running: 2 workers, {settings.rate:g} tasks/s{total}.", ""]
    if address:
        lines += [
            f"    Open    {address}",
            f"    Try     curl '{address}/api/tasks?state=FAILURE'",
            f"    Query   flower --db {demo.store} tasks state:FAILURE",
        ]
    lines += ["    Stop    Ctrl-C to stop and clean up", ""]
    return "\n".join(lines)


def _stop_on_signals(stop: threading.Event) -> None:
    """Set a flag instead of raising: an exception could be raised between the start of a child process and its
    registration."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
