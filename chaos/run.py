"""One scenario in one mode: the cluster, the monitors, the load, and the comparisons."""

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import redis
from kombu.exceptions import OperationalError

from chaos.celery_app import make
from chaos.cluster import ChaosRedis, ChaosWorker, create_broker
from chaos.comparison import Comparison, MonitorResult, judge_monitor
from chaos.counts import find_differing_numbers
from chaos.http_view import View, read_view
from chaos.ledger import Ledger, LedgerWriter, connect_signals, read_clock, read_ledger
from chaos.load import Load, SteadyLoad
from chaos.modes import Mode
from chaos.monitors import Bellflower, Flower, Monitor
from chaos.network import NetworkNamespace, Proxy
from chaos.truth import Observation, find_truth, observe
from tests.helpers.servers import wait_for

ENDED = frozenset({b"SUCCESS", b"FAILURE", b"REVOKED"})
QUEUES = ("main", "other", "idle", "threads", "solo")
#: Seconds within which a monitor must show a change; Bellflower writes unfinished tasks every 2 s.
MAX_LAG = 3.0
#: Seconds that reading all monitors takes at most.
READ_TIME = 2.0
#: A comparison of a busy cluster is repeated at most this number of times.
MAX_REPEATS = 5
#: Errors of a client whose broker is not there.
BROKER_ERRORS = (OperationalError, OSError, redis.RedisError)


class ScenarioNotRun(Exception):
    """This machine lacks what the scenario needs."""


@dataclass(slots=True)
class RunSettings:
    seed: int
    #: short waits, comparisons repeated until they are acceptable, and no Flower
    short: bool = False
    with_flower: bool = True
    #: seconds that a comparison of the short form is repeated at most
    limit: float = 60.0
    log: Callable[[str], None] = print


class Run:
    """Context manager. Everything that it starts is stopped and deleted when it is left."""

    def __init__(self, name: str, mode: Mode, settings: RunSettings) -> None:
        self.name, self.mode, self.settings = name, mode, settings
        self.rng = random.Random(f"{settings.seed} {name} {mode.name}")
        self.folder = Path(tempfile.mkdtemp(prefix="bellflower-chaos-"))
        self.comparisons: list[Comparison] = []
        self.workers: dict[str, ChaosWorker] = {}
        #: workers that were started, whether they live or not, by hostname
        self.known_workers: set[str] = set()
        self.monitors: list[Monitor] = []
        self.notes: list[str] = []
        #: since when (ledger's clock) the monitors can record nothing
        self.interrupted_at: float | None = None
        self._stack = ExitStack()
        self._started_at = time.monotonic()

    @property
    def short(self) -> bool:
        return self.settings.short

    def log(self, text: str) -> None:
        self.settings.log(f"{time.monotonic() - self._started_at:6.1f} s  {text}")

    # The cluster

    def __enter__(self) -> Self:
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    def start(
        self,
        *,
        persistent: bool = True,
        visibility: float | None = None,
        proxy: bool = False,
        namespace: bool = False,
    ) -> None:
        """Start broker and result backend. `persistent`: Redis has an append-only file. `visibility`: its visibility
        timeout in seconds. `proxy`: the monitors connect through a proxy. `namespace`: they run in a network namespace.
        Raises ScenarioNotRun."""
        self.broker = create_broker(self.mode, persistent=persistent)
        self._stack.enter_context(self.broker)
        self.environment = {"CHAOS_BROKER": self.broker.url, "CHAOS_LEDGER": str(self.folder / "ledger")}
        self.backend: ChaosRedis | None = None
        if self.mode.has_backend:
            self.backend = self._stack.enter_context(ChaosRedis(persistent=False))
            self.environment["CHAOS_BACKEND"] = self.backend.url
        if self.mode.has_durable_events:
            self.environment["CHAOS_DURABLE"] = "1"
        if visibility is not None and self.mode.broker == "redis":
            self.environment["CHAOS_VISIBILITY"] = str(visibility)
        self.proxy: Proxy | None = None
        self.namespace: NetworkNamespace | None = None
        self.monitor_environment = dict(self.environment)
        if namespace:
            reason = NetworkNamespace.explain_absence()
            if reason:
                raise ScenarioNotRun(reason)
            self.namespace = self._stack.enter_context(NetworkNamespace())
            self._connect_monitors("CHAOS_BROKER", self.broker.port, self.namespace.broker_address)
            if self.backend is not None:
                self._connect_monitors("CHAOS_BACKEND", self.backend.port, self.namespace.host_address)
        elif proxy:
            self.proxy = self._connect_monitors("CHAOS_BROKER", self.broker.port, "127.0.0.1")
        self.writer = LedgerWriter(self.folder / "ledger")
        connect_signals(self.writer)
        self.app = make(self.environment)
        self.load = Load(self.app, self.rng, has_backend=self.mode.has_backend)
        self._with_flower = self.settings.with_flower and not self.short
        self.log(f"{self.mode.title} started")

    def _connect_monitors(self, variable: str, port: int, address: str) -> Proxy:
        """Let the monitors reach this port through a proxy at `address`."""
        proxy = self._stack.enter_context(Proxy(port, address))
        url = self.environment[variable].replace(f"127.0.0.1:{port}", f"{address}:{proxy.port}")
        self.monitor_environment[variable] = url
        return proxy

    def start_worker(self, node: str, *queues: str, **options: Any) -> ChaosWorker:
        worker = ChaosWorker(self.environment, node, queues or ("main",), **options)
        self._stack.enter_context(worker)
        self.workers[node] = worker
        self.known_workers.add(worker.hostname)
        self.log(f"worker {node} started")
        return worker

    def wait_for_exit(self, worker: ChaosWorker) -> None:
        wait_for(f"the end of {worker.hostname}", lambda: not worker.is_running)
        self.log(f"{worker.hostname} ended")

    def start_monitors(self, *options: str, data: Path | None = None) -> None:
        """Start all monitors, and wait until they receive events."""
        self.bellflower = Bellflower(self.monitor_environment, *options, data=data, namespace=self.namespace)
        self.monitors = [self.bellflower]
        if self._with_flower:
            self.monitors.append(Flower(self.monitor_environment, namespace=self.namespace))
        for monitor in self.monitors:
            self._stack.enter_context(monitor)
        self.wait_until_capturing()
        self.log("monitors started")

    @contextmanager
    def interruption(self) -> Iterator[None]:
        """A time in which the monitors can record nothing."""
        self.interrupted_at = read_clock()
        yield
        self.interrupted_at = None

    def wait_until_capturing(self) -> None:
        for monitor in self.monitors:
            wait_for(f"capture by {monitor.title}", monitor.is_capturing)

    @contextmanager
    def steady_load(self, rate: float) -> Iterator[SteadyLoad]:
        with SteadyLoad(self.load, rate, BROKER_ERRORS) as load:
            yield load

    def restart_broker(self, seconds: float, *, number: int | None = None) -> None:
        """Stop the broker for this time: in good order, or by a signal."""
        self.writer.write("broker_stopped")
        if number is not None:
            self.broker.signal(number)
        self.broker.stop()
        self.log("broker stopped")
        time.sleep(seconds)
        self.broker.start()
        self.log("broker started")

    def revive_workers(self) -> None:
        """Start workers again that ended by themselves: kombu can fail while it connects to a broker again."""
        for worker in self.workers.values():
            if not worker.is_running and not worker.was_ended:
                self.notes.append(f"{worker.hostname} ended by itself and was started again")
                self.log(self.notes[-1])
                worker.start()

    def purge(self, queue: str) -> int:
        with self.app.connection_for_write() as connection:
            count = connection.default_channel.queue_purge(queue)
        self.writer.write("purged", queue=queue, count=count)
        self.log(f"{count} messages purged from {queue}")
        return int(count or 0)

    # The truth

    def ledger(self) -> Ledger:
        return read_ledger(self.folder / "ledger")

    def observe(self) -> Observation:
        return observe(self.app, self.ledger, self.workers.values(), lambda: self.broker.read(QUEUES))

    def wait_for_start(self, task_id: str, timeout: float = 60) -> bool:
        """Whether the task runs within `timeout`."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            history = self.ledger().tasks.get(task_id)
            if history is not None and history.find("start"):
                return True
            time.sleep(0.1)
        return False

    def wait_for_ledger(self, what: str, condition: Callable[[Ledger], bool], timeout: float = 90) -> None:
        wait_for(what, lambda: condition(self.ledger()), timeout)

    def wait_until_quiet(self, timeout: float = 120) -> None:
        """Wait until no task runs and none waits for a living worker, except for an ETA or a long rate limit."""
        deadline = time.monotonic() + timeout
        calm_since = None
        while time.monotonic() < deadline:
            self.revive_workers()
            if self._is_quiet():
                calm_since = calm_since or time.monotonic()
                if time.monotonic() - calm_since > 1.5:
                    self.log("no task runs or waits for a worker")
                    return
            else:
                calm_since = None
            time.sleep(0.3)
        self.notes.append(f"tasks were still running {timeout:g} s later")
        self.log(self.notes[-1])

    def _is_quiet(self) -> bool:
        living = [worker for worker in self.workers.values() if worker.is_running and not worker.is_stopped]
        read = {queue for worker in living for queue in worker.queues}
        lengths = self.broker.read(QUEUES).lengths
        if any(lengths.get(queue) for queue in read):
            return False
        ledger = self.ledger()
        pids = {worker.hostname: worker.pids() for worker in living}
        outage = max((line["at"] for line in ledger.faults if line["what"] == "broker_stopped"), default=0.0)
        for history in ledger.tasks.values():
            open_lines = [line for line in history.lines if line["what"] in ("received", "start")]
            if not open_lines:
                continue
            last = open_lines[-1]
            if last["pid"] not in pids.get(last["host"], ()):
                continue
            if last["what"] == "received" and last["at"] < outage:
                continue  # the worker has dropped it
            after = [line for line in history.find("end", "fail", "revoked") if line["at"] >= last["at"]]
            if not after and not last.get("eta") and history.name != "chaos.limited_long":
                return False
            if after and after[-1].get("state") == "RETRY":
                return False
        return True

    # Comparisons

    def compare(self, when: str, *, after: float = 0) -> Comparison:
        """Compare all monitors with the truth `after` seconds. The short form repeats the comparison until it is
        acceptable, for at most `settings.limit`."""
        began_at = time.monotonic()
        if not self.short:
            time.sleep(after)
            comparison = self._compare(when)
        else:
            deadline = began_at + self.settings.limit
            comparison = self._compare(when)
            while not comparison.is_acceptable(self.mode) and time.monotonic() < deadline:
                time.sleep(1)
                comparison = self._compare(when)
        comparison.seconds = time.monotonic() - began_at
        self.comparisons.append(comparison)
        for result in comparison.results:
            self.log(f"{when}: {result.describe()}")
        return comparison

    def _compare(self, when: str) -> Comparison:
        """A monitor shows a change within some seconds: if a wrong task has changed that recently, compare again."""
        for _ in range(MAX_REPEATS):
            comparison = self._compare_once(when)
            if self.interrupted_at is not None:
                break  # changes cannot be shown
            if not any(self._has_changed(wrong.uuid) for result in comparison.results for wrong in result.wrong):
                break
            time.sleep(MAX_LAG)
        return comparison

    def _has_changed(self, uuid: str) -> bool:
        """Whether the ledgers have a line about this task that a monitor need not show yet."""
        return self.ledger().tasks[uuid].lines[-1]["at"] > read_clock() - MAX_LAG - READ_TIME

    def _compare_once(self, when: str) -> Comparison:
        results: list[MonitorResult] = []
        tasks = 0
        for monitor in self.monitors:
            read_since = read_clock()
            before = find_truth(self.observe())
            view = self._read(monitor)
            observation = self.observe()
            tasks = len(before)
            results.append(
                judge_monitor(
                    monitor.title,
                    view,
                    before,
                    find_truth(observation),
                    observation.ledger,
                    clock_offset=time.time() - read_clock(),
                    stored_results=self._stored_results(),
                    alive=self._living(),
                    interrupted_at=self.interrupted_at,
                    read_since=read_since,
                )
            )
        return Comparison(self.name, self.mode.name, when, tasks, results)

    def _read(self, monitor: Monitor) -> View | None:
        """What the monitor shows now. Numbers that differ because tasks ended while they were read are read again:
        only those that differ each time disagree."""
        if not monitor.is_running:
            return None
        view = read_view(monitor)
        for _ in range(3):
            differing = find_differing_numbers(view)
            if not differing:
                break
            time.sleep(0.5)
            again = read_view(monitor)
            for name in differing - find_differing_numbers(again):
                view.numbers[name] = again.numbers[name]
        return view

    def _living(self) -> dict[str, bool]:
        alive = dict.fromkeys(self.known_workers, False)
        for worker in self.workers.values():
            alive[worker.hostname] = worker.is_running and not worker.is_stopped
        return alive

    def _stored_results(self) -> frozenset[str]:
        if self.backend is None:
            return frozenset()
        found = []
        with self.backend.client as client:
            for key in client.scan_iter("celery-task-meta-*", count=1000):
                value = client.get(key)
                if value and msgspec.json.decode(value).get("status", "").encode() in ENDED:
                    found.append(key.decode().removeprefix("celery-task-meta-"))
        return frozenset(found)


@dataclass(slots=True)
class RunReport:
    """The result of one run; `not_run` or `error` states why there is none."""

    scenario: str
    mode: str
    seconds: float = 0
    comparisons: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_run: str | None = None
    error: str | None = None
