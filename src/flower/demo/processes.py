"""Child processes that are stopped together, whatever happens to one of them."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: How long a child may take to stop by itself before its whole process group is killed, in seconds.
STOP_TIMEOUT = 5.0


@dataclass(frozen=True)
class ChildProcess:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self.process.poll()

    def log_tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class ProcessGroup:
    """Each child leads a session of its own: Ctrl-C reaches only us, and we stop them in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._all: list[ChildProcess] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: dict[str, str],
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> ChildProcess:
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603  (our own programs, no shell)
                command,
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child = ChildProcess(name, process, log, stop_signal)
        self._all.append(child)
        return child

    def find_failed(self) -> ChildProcess | None:
        """A child that ended though nobody asked it to; one that ended well has done its work."""
        return next((child for child in self._all if child.status is not None and child.status != 0), None)

    def stop(self) -> None:
        """The first child stops last: it is the broker, and the others say goodbye through it."""
        for together in (self._all[1:], self._all[:1]):
            _stop_processes(together)
        self._all.clear()


def _stop_processes(children: Sequence[ChildProcess]) -> None:
    for child in children:
        if child.status is None:
            child.process.send_signal(child.stop_signal)
    deadline = time.monotonic() + STOP_TIMEOUT
    for child in children:
        try:
            child.process.wait(max(deadline - time.monotonic(), 0.01))
        except subprocess.TimeoutExpired:
            pass
        finally:
            _kill_group(child)


def _kill_group(child: ChildProcess) -> None:
    """Also when the child ended by itself: one that crashed may have left its own children behind."""
    try:
        os.killpg(child.process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # nobody left; macOS says the latter of zombies
        return
    finally:
        child.process.wait()
