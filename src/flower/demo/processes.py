"""Child processes that are stopped together, even if one of them fails."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: Seconds to wait for a clean exit before the process group is killed.
STOP_TIMEOUT = 5.0


@dataclass(frozen=True)
class ChildProcess:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals

    @property
    def status(self) -> int | None:
        """The exit status; None while it is running."""
        return self.process.poll()

    def log_tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class ProcessGroup:
    """Each child process is in its own session: Ctrl-C reaches only the parent, which stops the children in order."""

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
            process = subprocess.Popen(  # noqa: S603 - fixed programs, no shell
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
        """A child process that exited with an error, or None. Exit status 0 is not an error."""
        return next((child for child in self._all if child.status is not None and child.status != 0), None)

    def stop(self) -> None:
        """Stop the first child process last: it is the broker, which the others need to shut down cleanly."""
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
    """Kill the process group, even if the child process has exited: after a crash its own child processes may still
    run."""
    try:
        os.killpg(child.process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # no process left; macOS reports the latter for zombies
        return
    finally:
        child.process.wait()
