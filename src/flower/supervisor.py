"""Supervises the recorder process: starts it, restarts it after a crash, stops it cleanly."""

import asyncio
import json
import logging
import pickle
import sys
import time
from collections.abc import Callable

from flower.errors import FlowerError
from flower.recorder_settings import STOP_MESSAGE, RecorderSettings

log = logging.getLogger(__name__)

#: Seconds until the recorder is restarted; doubled after each crash, up to the maximum.
MIN_RESTART_DELAY, MAX_RESTART_DELAY = 0.5, 30.0
#: Uptime in seconds after which the restart delay is reset.
MIN_UPTIME = 60.0
#: Seconds to wait for a clean exit before the process is terminated, and again before it is killed.
STOP_TIMEOUT = 15.0


class Supervisor:
    """`run` supervises until `stop`. `on_fatal` is called once if the first start fails permanently. `on_log_line`
    receives the log lines of the process; without it they go to standard error."""

    def __init__(
        self,
        settings: RecorderSettings,
        on_fatal: Callable[[FlowerError], None],
        on_log_line: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = settings
        self._on_fatal = on_fatal
        self._on_log_line = on_log_line
        self._log_forwarder: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def run(self) -> None:
        delay = MIN_RESTART_DELAY
        started_once = False
        while not self._stopping.is_set():
            started_at = time.monotonic()
            process = self._process = await self._start()
            report = await self._read_startup_report(process)
            if "fatal" in report and not started_once:
                await process.wait()
                self._on_fatal(FlowerError(report["fatal"]))
                return
            started_once = started_once or "ready" in report
            status = await self._wait_for_exit(process)
            if self._stopping.is_set():
                return
            if time.monotonic() - started_at > MIN_UPTIME:
                delay = MIN_RESTART_DELAY
            reason = report.get("fatal") or (f"signal {-status}" if status < 0 else f"exit status {status}")
            log.error("Recorder exited (%s); restarting in %.1f s", reason, delay)
            await self._wait_before_restart(delay)
            delay = min(delay * 2, MAX_RESTART_DELAY)

    async def stop(self) -> None:
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.write(STOP_MESSAGE)
            process.stdin.close()
        for end in (process.terminate, process.kill):
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
            except TimeoutError:
                log.warning("The recorder does not exit; terminating it")
                end()
            else:
                break
        if self._log_forwarder is not None:
            await self._log_forwarder

    async def _start(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "flower.recorder_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE if self._on_log_line else None,
        )
        if process.stderr is not None:
            self._log_forwarder = asyncio.create_task(self._forward_log_lines(process.stderr))
        settings = pickle.dumps(self._settings)
        assert process.stdin is not None
        process.stdin.write(len(settings).to_bytes(8, "big") + settings)
        return process

    async def _forward_log_lines(self, stream: asyncio.StreamReader) -> None:
        """Two processes cannot rotate one log file: this process writes the log lines of the recorder."""
        assert self._on_log_line is not None
        partial = b""
        while chunk := await stream.read(65536):
            *lines, partial = (partial + chunk).split(b"\n")
            for line in lines:
                self._on_log_line(line.decode("utf-8", "replace"))
        if partial:
            self._on_log_line(partial.decode("utf-8", "replace"))

    async def _read_startup_report(self, process: asyncio.subprocess.Process) -> dict[str, str]:
        """The line that the process writes when it is ready or cannot start; empty if it is invalid."""
        assert process.stdout is not None
        line = await process.stdout.readline()
        try:
            report = json.loads(line)
        except ValueError:
            return {}
        return report if isinstance(report, dict) else {}

    async def _wait_for_exit(self, process: asyncio.subprocess.Process) -> int:
        """The exit status of the process, after its output has been read."""
        assert process.stdout is not None
        while await process.stdout.read(4096):  # no output is expected; a full pipe would block the process
            pass
        if self._log_forwarder is not None:
            await asyncio.shield(self._log_forwarder)  # its last log lines come before the message about its exit
        return await process.wait()

    async def _wait_before_restart(self, delay: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), delay)
        except TimeoutError:
            return
