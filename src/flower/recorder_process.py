"""The recorder process: capture, recorder and store connected. `Events` runs the same code in a thread; the server runs
it in a separate process (`python -m flower.recorder_process`), so that a burst of events does not slow down pages.

The process shares nothing with its parent but the store. It reads its settings from standard input (a broker URL
contains a password, and command lines are public), writes one line of JSON to standard output when it is ready or
cannot start, and shuts down cleanly when standard input closes, so that no process is left behind when the parent is
killed.
"""

import dataclasses
import gc
import json
import logging
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flower.capture.factory import create_capture
from flower.celery_app import LazyApp
from flower.config import Config
from flower.errors import FlowerError, StoreFull, StoreInUse
from flower.logging_setup import configure_logging
from flower.malloc import limit_malloc_arenas
from flower.recorder import Recorder
from flower.recorder_settings import RecorderSettings, settings_from_config
from flower.store.factory import open_writer
from flower.store.protocols import Writer

log = logging.getLogger(__name__)

#: Seconds to wait for the lock of the store; the previous recorder may still be shutting down.
STORE_LOCK_TIMEOUT = 10.0


def run_recorder(settings: RecorderSettings, stop: threading.Event, ready: Callable[[], None]) -> None:
    """Record until `stop` is set; `ready` is called once the store is open. Raises StoreError."""
    writer = _open_writer(settings, stop)
    try:
        ready()
        capture = create_capture(
            dataclasses.replace(settings.capture, queue_name=writer.identity, spill_folder=Path(settings.db) / "spill")
        )
        Recorder(capture, writer, retention=settings.retention, limits=settings.limits).run(stop)
    finally:
        writer.close()


def _open_writer(settings: RecorderSettings, stop: threading.Event) -> Writer:
    deadline = time.monotonic() + STORE_LOCK_TIMEOUT
    logged_code = ""
    while True:
        try:
            return open_writer(settings.db, index_process=settings.index_process)
        except (StoreInUse, StoreFull) as error:
            in_use = isinstance(error, StoreInUse)
            if stop.is_set() or (in_use and time.monotonic() > deadline):
                raise
            if logged_code != error.code:
                log.warning(
                    "%s. Waiting%s.",
                    error.message,
                    f" up to {STORE_LOCK_TIMEOUT:.0f} s for it to exit" if in_use else "",
                )
                logged_code = error.code
            stop.wait(0.1 if in_use else 1.0)


def record_only(config: Config, app: LazyApp) -> None:
    """Run the recorder in this process until a signal arrives. Raises FlowerError if it cannot start."""
    stop = _stop_on_signals()
    run_recorder(settings_from_config(config, app), stop, ready=lambda: log.info("Recording into %s", config.db))


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def main() -> int:
    """Entry point of the process. Exit status 0 after a clean stop, 3 if it cannot start with these settings, 1 on a
    crash."""
    size = int.from_bytes(sys.stdin.buffer.read(8), "big")
    settings: RecorderSettings = pickle.loads(sys.stdin.buffer.read(size))  # noqa: S301 - written by the parent process
    configure_logging(settings.log_level)
    stop = _stop_on_signals()
    threading.Thread(target=_stop_when_parent_exits, args=(stop,), daemon=True, name="parent-watch").start()
    limit_malloc_arenas()
    # Records are not tracked by the garbage collector, and other objects rarely form cycles.
    gc.freeze()
    gc.set_threshold(200_000, 50, 50)
    try:
        run_recorder(settings, stop, ready=lambda: _report_to_parent({"ready": True}))
    except FlowerError as error:
        _report_to_parent({"fatal": str(error)})
        return 3
    return 0


def _stop_when_parent_exits(stop: threading.Event) -> None:
    # The raw descriptor: reading sys.stdin in a daemon thread holds a lock that interpreter shutdown needs.
    while os.read(0, 4096):
        pass
    stop.set()


def _report_to_parent(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)  # noqa: T201 - the line that the parent process waits for


if __name__ == "__main__":
    sys.exit(main())
