"""Brokers and workers of a run, and the signals that are sent to them."""

import glob
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil
import redis

from chaos.modes import Mode
from tests.helpers.paths import ROOT
from tests.helpers.servers import RabbitMQ, Redis, Server

FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), None)


def signal_tree(pid: int, number: int) -> None:
    """Send a signal to a process and all its descendants, in whatever process groups they are."""
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in processes:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            process.send_signal(number)


class ChaosWorker(Server):
    """`celery worker` of a run. `clock` is the time by which its clock is wrong, as libfaketime reads it (`+3600s`);
    it can be changed while the worker runs."""

    name = "worker"

    def __init__(
        self,
        environment: Mapping[str, str],
        node: str,
        queues: Sequence[str],
        *options: str,
        events: bool = True,
        concurrency: int = 2,
        pool: str = "prefork",
        clock: str | None = None,
    ) -> None:
        super().__init__()
        self.hostname = f"{node}@chaos"
        self.queues, self.concurrency, self.pool, self.options = tuple(queues), concurrency, pool, options
        self.events = events
        self.is_stopped = False
        #: it ended because the scenario ended it
        self.was_ended = False
        self._log_start = 0
        self._environment = environment
        self._clock_file = self.folder / "clock"
        self._has_clock = clock is not None
        if clock is not None:
            self.set_clock(clock)

    def set_clock(self, offset: str) -> None:
        self._clock_file.write_text(offset + "\n")

    def environment(self) -> dict[str, str]:
        values = {**os.environ, **self._environment, "PYTHONPATH": str(ROOT)}
        if not self.events:
            values["CHAOS_NO_EVENTS"] = "1"
        if self._has_clock:
            if FAKETIME is None:
                raise RuntimeError("libfaketime is not installed: scripts/test-servers")
            values |= {
                "LD_PRELOAD": FAKETIME,
                "FAKETIME_TIMESTAMP_FILE": str(self._clock_file),
                "FAKETIME_NO_CACHE": "1",
                # Timeouts of Python and the times of the ledger use the monotonic clock.
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1",
                "NO_FAKE_STAT": "1",
            }
        return values

    def command(self) -> list[str]:
        return [
            sys.executable, "-m", "celery", "-A", "chaos.celery_app", "worker", "-n", self.hostname, "-l", "INFO",
            "-P", self.pool, "-c", str(self.concurrency), "-Q", ",".join(self.queues), "--without-mingle",
            "--without-gossip", *(["-E"] if self.events else []), *self.options,
        ]  # fmt: skip

    def start(self) -> None:
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        super().start()

    def ready(self) -> bool:
        return b" ready." in self.log.read_bytes()[self._log_start :]

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def pids(self) -> set[int]:
        """The worker and its pool processes."""
        if not self.is_running:
            return set()
        with suppress(psutil.NoSuchProcess):
            return {self.pid, *(child.pid for child in psutil.Process(self.pid).children(recursive=True))}
        return set()

    def kill(self) -> None:
        """kill -9 of parent and children."""
        self.was_ended = True
        signal_tree(self.pid, signal.SIGKILL)
        assert self.process is not None
        self.process.wait(20)

    def freeze(self) -> None:
        signal_tree(self.pid, signal.SIGSTOP)
        self.is_stopped = True

    def unfreeze(self) -> None:
        signal_tree(self.pid, signal.SIGCONT)
        self.is_stopped = False

    def terminate(self) -> None:
        """Warm shutdown: TERM to the parent, which waits for its tasks."""
        self.was_ended = True
        os.kill(self.pid, signal.SIGTERM)

    def stop(self) -> None:
        if self.is_running:
            signal_tree(self.pid, signal.SIGCONT)
            signal_tree(self.pid, signal.SIGKILL)
        super().stop()


@dataclass(frozen=True, slots=True)
class BrokerView:
    """What the broker has: ids of waiting and of unacknowledged messages. None if it cannot list ids (RabbitMQ)."""

    lengths: Mapping[str, int]
    waiting: Mapping[str, frozenset[str]] | None
    unacknowledged: frozenset[str] | None


class ChaosRedis(Redis):
    def __init__(self, *, persistent: bool) -> None:
        options = ("--appendonly", "yes", "--appendfsync", "always") if persistent else ()
        super().__init__(*options)

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=10)

    def read(self, queues: Sequence[str]) -> BrokerView:
        import json

        with self.client as client:
            waiting = {}
            for queue in queues:
                # kombu has a list for each priority
                keys = [queue, *(f"{queue}\x06\x16{priority}" for priority in (3, 6, 9))]
                messages = [message for key in keys for message in client.lrange(key, 0, -1)]
                waiting[queue] = frozenset(json.loads(message)["headers"].get("id", "") for message in messages)
            held = [json.loads(value)[0] for value in client.hgetall("unacked").values()]
        return BrokerView(
            {queue: len(ids) for queue, ids in waiting.items()},
            waiting,
            frozenset(message["headers"].get("id", "") for message in held),
        )


class ChaosRabbitMQ(RabbitMQ):
    def read(self, queues: Sequence[str]) -> BrokerView:
        from kombu.connection import Connection

        lengths = {}
        with Connection(self.url) as connection:
            for queue in queues:
                channel = connection.channel()
                with suppress(connection.channel_errors):
                    lengths[queue] = int(channel.queue_declare(queue=queue, passive=True).message_count)
                    channel.close()
        return BrokerView(lengths, None, None)


def create_broker(mode: Mode, *, persistent: bool) -> "ChaosRedis | ChaosRabbitMQ":
    return ChaosRedis(persistent=persistent) if mode.broker == "redis" else ChaosRabbitMQ()


def iterate_processes(pid: int) -> Iterator[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        yield process
        yield from process.children(recursive=True)
