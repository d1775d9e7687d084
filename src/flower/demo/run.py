"""The demo from start to end: a folder, a broker, two workers, customers, the product; then nothing of it is left."""

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
from flower.demo.processes import Child, Children
from flower.errors import FlowerError, Invalid, Unavailable

#: Read by `flower.demo.shop` (which imports Celery; this module need not).
BROKER, PACE = "BELLFLOWER_DEMO_BROKER", "BELLFLOWER_DEMO_PACE"
DEFAULT_PORT = 5555
#: Seconds in which a part must be up.
PATIENCE = 60.0
#: Tasks a second that one process of the first worker gets done at the shop's own pace.
CAPACITY = 4.0


@dataclass(frozen=True)
class Plan:
    """`rate` is in tasks a second; `tasks` None means without end; `port` None means 5555 or a free one."""

    tasks: int | None = None
    rate: float = 5.0
    port: int | None = None
    seed: int | None = None
    concurrency: int = 2
    web: bool = True

    @property
    def pace(self) -> float:
        """What durations in the shop are multiplied by, so that its workers keep up with the rate."""
        return min(1.0, CAPACITY * self.concurrency / self.rate)


class Demo:
    """Everything that one run of the demo made: processes and a folder. Leaving it removes both."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.folder = Path(tempfile.mkdtemp(prefix="bellflower-demo-"))
        self.children = Children(self.folder)
        self.stop = threading.Event()
        self.broker_port = broker.free_port()

    @property
    def broker_url(self) -> str:
        return f"redis://127.0.0.1:{self.broker_port}/0"

    @property
    def environment(self) -> dict[str, str]:
        """Settings of the caller's own Celery and Flower stay out: CELERY_BROKER_URL would send the shop's orders
        to a real broker. Temporary files are ours to remove: a child that is killed leaves its own behind."""
        theirs = {name: value for name, value in os.environ.items() if not name.startswith(("CELERY_", "FLOWER_"))}
        ours = {BROKER: self.broker_url, PACE: str(self.plan.pace), "TMPDIR": str(self.folder)}
        # Loopback only, and a shop of make-believe: its API may be tried without a password.
        return {**theirs, **ours, "FLOWER_UNAUTHENTICATED_API": "true"}

    def start_broker(self) -> None:
        child = self.children.start("broker", broker.command(self.broker_port, self.folder), self.environment)
        self.wait_for(child, lambda: broker.port_open(self.broker_port))

    def start_worker(self, name: str, queues: str) -> Child:
        command = [
            *(sys.executable, "-m", "celery", "-A", "flower.demo.shop", "worker", "-E", "--without-mingle"),
            *("-n", f"{name}@shop", "-Q", queues, "-c", str(self.plan.concurrency), "--loglevel", "INFO"),
        ]
        # QUIT ends the tasks that run: nobody waits for a report when the shop is torn down.
        return self.children.start(f"worker-{name}", command, self.environment, signal.SIGQUIT)

    def start_workers(self) -> None:
        workers = [self.start_worker("orders", "default,media"), self.start_worker("mail", "mail")]
        for worker in workers:
            self.wait_for(worker, lambda log=worker.log: b" ready." in log.read_bytes())  # type: ignore[misc]

    def start_server(self) -> str:
        """The product, as anybody would start it. Returns its address."""
        port = self.plan.port or _free_from(DEFAULT_PORT)
        if broker.port_open(port):
            raise Invalid(f"port {port} is taken", hint="choose another with --port")
        command = [
            *(sys.executable, "-m", "celery", "-A", "flower.demo.shop", "flower"),
            *("--address=127.0.0.1", f"--port={port}", f"--db={self.folder / 'store'}"),
        ]
        child = self.children.start("flower", command, self.environment)
        self.wait_for(child, lambda: broker.port_open(port))
        return f"http://127.0.0.1:{port}"

    def start_traffic(self) -> Child:
        command = [sys.executable, "-m", "flower.demo.traffic", "--rate", str(self.plan.rate)]
        if self.plan.tasks is not None:
            command += ["--tasks", str(self.plan.tasks)]
        if self.plan.seed is not None:
            command += ["--seed", str(self.plan.seed)]
        return self.children.start("traffic", command, self.environment)

    def wait_for(self, child: Child, ready: Callable[[], bool]) -> None:
        """Until it is ready, or we are asked to stop; raises Unavailable if it cannot be had."""
        deadline = time.monotonic() + PATIENCE
        while not self.stop.is_set() and not ready():
            if child.status is not None:
                raise Unavailable(f"{child.name} ended at once:\n{child.last_words()}")
            if time.monotonic() > deadline:
                raise Unavailable(f"{child.name} was not ready after {PATIENCE:.0f} s:\n{child.last_words()}")
            self.stop.wait(0.05)

    def watch(self, traffic: Child, say: Callable[[str], None]) -> None:
        """Until we are asked to stop; raises Unavailable when a part of the demo has died."""
        told = False
        while not self.stop.wait(0.3):
            if dead := self.children.failed():
                raise Unavailable(f"{dead.name} ended with status {dead.status}:\n{dead.last_words()}")
            if not told and traffic.status == 0:
                told = True
                say("All tasks are sent. The page stays until Ctrl-C.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.children.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_from(port: int) -> int:
    return port if not broker.port_open(port) else broker.free_port()


def run_demo(plan: Plan, say: Callable[[str], None]) -> int:
    """Run until Ctrl-C (or TERM, or HUP); returns the exit status. To be called from the main thread."""
    with Demo(plan) as demo:
        _stop_on_signals(demo.stop)
        try:
            _run(demo, say)
        except FlowerError as error:
            say(f"The demo stopped: {error}")
            return 1
    say("Stopped; nothing is left behind.")
    return 0


def _run(demo: Demo, say: Callable[[str], None]) -> None:
    demo.start_broker()
    say(f"Opening the shop: its broker is at {demo.broker_url}, its workers are on their way …")
    address = demo.start_server() if demo.plan.web else None
    demo.start_workers()
    traffic = demo.start_traffic()
    if not demo.stop.is_set():
        say(_welcome(demo, address))
    demo.watch(traffic, say)


def _welcome(demo: Demo, address: str | None) -> str:
    plan = demo.plan
    many = f"{plan.tasks} tasks in all" if plan.tasks is not None else "without end"
    lines = [f"An order shop is at work: two workers, {plan.rate:g} tasks a second, {many}.", ""]
    if address:
        lines += [f"    Open    {address}", f"    Try     curl '{address}/api/tasks?state=FAILURE'"]
    lines += ["    Stop    Ctrl-C (everything goes with it)", ""]
    return "\n".join(lines)


def _stop_on_signals(stop: threading.Event) -> None:
    """A flag and no exception: a signal never comes between the birth of a child and our knowing of it."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
