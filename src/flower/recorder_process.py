"""A recording: capture, recorder and store put together. `Events` runs one in a thread, the server in a
process of its own (`python -m flower.recording`), so that a burst of events never slows a page.

The process shares nothing with its parent but the store. It reads its settings from standard input
(a broker URL holds a password, and command lines are public), writes one line of JSON to standard
output when it is ready or cannot start, and stops in good order when standard input closes: a
parent that was killed leaves nobody behind.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flower.capture.factory import create_capture
from flower.capture.settings import CaptureSettings
from flower.counting import CounterLimits
from flower.errors import FlowerError, StoreFull, StoreInUse
from flower.logging_setup import configure_logging
from flower.malloc import limit_malloc_arenas
from flower.recorder import Recorder
from flower.store.factory import open_writer
from flower.store.protocols import Retention, Writer

log = logging.getLogger(__name__)

#: Seconds to wait for the process that holds the store: it may be one of ours that is just ending.
STORE_LOCK_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    db: str
    capture: CaptureSettings
    retention: Retention = field(default_factory=Retention)
    #: of what is counted
    limits: CounterLimits = field(default_factory=CounterLimits)
    log_level: str = "INFO"
    #: whether to start a process for the text index; within somebody else's program a thread has to do
    index_process: bool = False


def run_recorder(settings: RecorderSettings, stop: threading.Event, ready: Callable[[], None]) -> None:
    """Record until `stop` is set; `ready` is called once the store is ours. Raises StoreError."""
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
    said = ""
    while True:
        try:
            return open_writer(settings.db, index_process=settings.index_process)
        except (StoreInUse, StoreFull) as error:
            in_use = isinstance(error, StoreInUse)
            if stop.is_set() or (in_use and time.monotonic() > deadline):
                raise
            if said != error.code:
                log.warning(
                    "%s. Waiting%s.",
                    error.message,
                    f" up to {STORE_LOCK_TIMEOUT:.0f} s for it to end" if in_use else "",
                )
                said = error.code
            stop.wait(0.1 if in_use else 1.0)


def main() -> int:
    """The process: 0 after an orderly stop, 3 if it cannot start with these settings, 1 on a crash."""
    size = int.from_bytes(sys.stdin.buffer.read(8), "big")
    settings: RecorderSettings = pickle.loads(sys.stdin.buffer.read(size))  # noqa: S301 - our parent wrote it
    configure_logging(settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=_stop_when_parent_exits, args=(stop,), daemon=True, name="parent-watch").start()
    limit_malloc_arenas()
    # Records are made without garbage-collector tracking; what is left rarely forms cycles.
    gc.freeze()
    gc.set_threshold(200_000, 50, 50)
    try:
        run_recorder(settings, stop, ready=lambda: _report_to_parent({"ready": True}))
    except FlowerError as error:
        _report_to_parent({"fatal": str(error)})
        return 3
    return 0


def _stop_when_parent_exits(stop: threading.Event) -> None:
    # The raw descriptor: a read of sys.stdin in a daemon thread holds a lock that ending needs.
    while os.read(0, 4096):
        pass
    stop.set()


def _report_to_parent(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)  # noqa: T201 - the line our parent waits for


if __name__ == "__main__":
    sys.exit(main())
