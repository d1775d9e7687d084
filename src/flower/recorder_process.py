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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flower import __version__
from flower.capture.decompression import limit_kombu_decompression
from flower.capture.factory import create_capture
from flower.capture.interruption import decode_progress, find_interruption
from flower.capture.unreadable_messages import find_unended_gap
from flower.celery_app import LazyApp
from flower.config import Config
from flower.descriptor_limit import raise_descriptor_limit
from flower.errors import FlowerError, StoreFull, StoreInUse
from flower.logging_setup import configure_logging, restore_logging
from flower.malloc import limit_malloc_arenas
from flower.reconcile import Reconciler
from flower.recorder import Recorder
from flower.recorder_settings import STOP_MESSAGE, RecorderSettings, settings_from_config
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Writer

#: not __name__, which is __main__ in the process
log = logging.getLogger("flower.recorder_process")

#: Seconds to wait for the lock of the store; the previous recorder may still be shutting down.
STORE_LOCK_TIMEOUT = 10.0


def run_recorder(
    settings: RecorderSettings,
    stop: threading.Event,
    ready: Callable[[], None],
    is_parent_lost: Callable[[], bool] = lambda: False,
) -> None:
    """Record until `stop` is set; `ready` is called once the store is open. `is_parent_lost`: whether the stop was not
    planned. Raises StoreError."""
    writer = _open_writer(settings, stop)
    try:
        ready()
        folder = Path(settings.db).absolute()
        progress, status = writer.capture_progress(), writer.recorder_status()
        capture = create_capture(
            dataclasses.replace(
                settings.capture,
                queue_name=writer.identity,
                spill_folder=folder / "spill",
                drain_folder=folder / "drain" if settings.drain_process else None,
            ),
            find_interruption(progress, status),
            decode_progress(progress),
            is_planned_stop=lambda: stop.is_set() and not is_parent_lost(),
        )
        if (gap := find_unended_gap(writer.recorder_status())) is not None:
            writer.write(Batch(gaps=[gap]))
        with _run_reconciler(settings) as reconciler:
            Recorder(
                capture, writer, retention=settings.retention, limits=settings.limits, observations=reconciler
            ).run(stop)
    finally:
        writer.close()


@contextmanager
def _run_reconciler(settings: RecorderSettings) -> Iterator[Reconciler | None]:
    """The running reconciler; None if it is disabled."""
    if settings.reconcile is None:
        yield None
        return
    reconciler = Reconciler(settings.reconcile, open_reader(settings.db))
    reconciler.start()
    try:
        yield reconciler
    finally:
        reconciler.stop()


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
    app.after_load = restore_logging
    raise_descriptor_limit()
    # An import cannot be cancelled by an event: until it has ended, a signal ends the process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = settings_from_config(config, app)
    stop = _stop_on_signals()
    limit_kombu_decompression()
    log.info("Bellflower %s, recorder", __version__)
    run_recorder(settings, stop, ready=lambda: log.info("Recording into %s", Path(config.db).absolute()))
    log.info("Stopped")


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
    limit_kombu_decompression()
    stop = _stop_on_signals()
    parent_lost = threading.Event()
    threading.Thread(target=_stop_when_parent_exits, args=(stop, parent_lost), daemon=True, name="parent-watch").start()
    limit_malloc_arenas()
    # Records are not tracked by the garbage collector, and other objects rarely form cycles.
    gc.freeze()
    gc.set_threshold(200_000, 50, 50)
    is_ready = False

    def report_ready() -> None:
        nonlocal is_ready
        is_ready = True
        _report_to_parent({"ready": True})

    try:
        run_recorder(settings, stop, report_ready, parent_lost.is_set)
    except FlowerError as error:
        if is_ready:  # the parent reads one line only
            log.error("%s", error)
            return 1
        _report_to_parent({"fatal": str(error)})
        return 3
    return 0


def _stop_when_parent_exits(stop: threading.Event, parent_lost: threading.Event) -> None:
    """The parent writes STOP_MESSAGE before it closes the pipe, unless it was killed."""
    # The raw descriptor: reading sys.stdin in a daemon thread holds a lock that interpreter shutdown needs.
    received = b""
    while data := os.read(0, 4096):
        received = data
    if received != STOP_MESSAGE and not stop.is_set():
        parent_lost.set()
    stop.set()


def _report_to_parent(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)  # noqa: T201 - the line that the parent process waits for


if __name__ == "__main__":
    sys.exit(main())
