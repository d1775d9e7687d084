"""The monitors of a run, as users start them: `celery -A app flower`."""

import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

from bench.install import flower_python
from chaos.cluster import iterate_processes, signal_tree
from chaos.network import NetworkNamespace
from tests.helpers.paths import ROOT
from tests.helpers.servers import Server


class Monitor(Server, ABC):
    """A monitor in its own process group; its data survive a restart."""

    name = "monitor"
    title = "Monitor"

    def __init__(
        self,
        environment: Mapping[str, str],
        *options: str,
        data: Path | None = None,
        namespace: NetworkNamespace | None = None,
    ) -> None:
        super().__init__()
        self._environment = environment
        self._prefix = namespace.prefix if namespace else ()
        self._address = namespace.monitor_address if namespace else "127.0.0.1"
        self.options = options
        self.data = data or self.folder / "data"
        self.http = httpx.Client(base_url=f"http://{self._address}:{self.port}", timeout=20)

    def python(self) -> Path:
        return Path(sys.executable)

    @abstractmethod
    def arguments(self) -> Sequence[str]:
        """The options that are not common to both monitors."""

    def command(self) -> list[str]:
        return [
            *self._prefix, str(self.python()), "-m", "celery", "-A", "chaos.celery_app", "flower",
            f"--address={self._address}", f"--port={self.port}", *self.arguments(), *self.options,
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWER_", "CELERY_"))}
        return {**inherited, **self._environment, "PYTHONPATH": str(ROOT), "FLOWER_UNAUTHENTICATED_API": "true"}

    def ready(self) -> bool:
        try:
            return self.http.get("/healthcheck").text == "OK"
        except httpx.TransportError:
            return False

    @abstractmethod
    def is_capturing(self) -> bool:
        """Whether it receives events."""

    @abstractmethod
    def recording_processes(self) -> list[psutil.Process]:
        """The processes whose end stops the recording; the monitor itself if it has only one."""

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """kill -9 of all its processes."""
        if self.process is not None:
            signal_tree(self.process.pid, signal.SIGKILL)
            # Processes that outlived their parent are in its group.
            with suppress(ProcessLookupError):
                self.signal(signal.SIGKILL)
            self.process.wait(20)

    def kill_recorder(self) -> bool:
        """kill -9 of what records. True if the monitor must be started again."""
        assert self.process is not None
        for process in self.recording_processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        with suppress(Exception):
            self.process.wait(0.5)
        return not self.is_running

    def freeze(self) -> None:
        assert self.process is not None
        signal_tree(self.process.pid, signal.SIGSTOP)

    def unfreeze(self) -> None:
        assert self.process is not None
        signal_tree(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None:
            signal_tree(self.process.pid, signal.SIGCONT)
        super().stop()


class Bellflower(Monitor):
    name = title = "Bellflower"

    def arguments(self) -> Sequence[str]:
        return (f"--db={self.data}",)

    def is_capturing(self) -> bool:
        try:
            recorder = self.http.get("/api/v1/status").json()["recorder"]
        except (httpx.TransportError, KeyError, ValueError):
            return False
        return bool(recorder["running"] and recorder["connected"])

    def find(self, word: str) -> list[psutil.Process]:
        """Its processes whose command line contains the word."""
        assert self.process is not None
        found = []
        for process in iterate_processes(self.process.pid):
            with suppress(psutil.NoSuchProcess):
                if any(word in argument for argument in process.cmdline()):
                    found.append(process)
        return found

    def recording_processes(self) -> list[psutil.Process]:
        return self.find("flower.recorder_process")


class Flower(Monitor):
    """Flower 2.2.0 in its best configuration."""

    name = title = "Flower"

    def environment(self) -> dict[str, str]:
        # The class of durable events is part of Bellflower, which is not installed in Flower's environment.
        return {name: value for name, value in super().environment().items() if name != "CHAOS_DURABLE"}

    def python(self) -> Path:
        return flower_python()

    def arguments(self) -> Sequence[str]:
        return ("--persistent=True", f"--db={self.data}", "--state_save_interval=2000", "--max_tasks=1000000")

    def is_capturing(self) -> bool:
        # It reports no such thing; its receiver connects while it starts.
        return self.ready()

    def recording_processes(self) -> list[psutil.Process]:
        assert self.process is not None
        return list(iterate_processes(self.process.pid))
