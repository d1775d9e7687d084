"""`Events`: a running capture inside your own program, and the tasks it has kept."""

import logging
import tempfile
import threading
import weakref
from types import TracebackType
from typing import Any, Self

from flower.capture.settings import settings_from_app
from flower.current_events import set_current_events, unset_current_events
from flower.recorder_process import RecorderSettings, run_recorder
from flower.store.factory import open_reader
from flower.store.protocols import Reader, Retention

log = logging.getLogger(__name__)

#: Seconds until a recording that broke down begins again.
RESTART_DELAY = 2.0


class Events:
    """Captures the events of a Celery application and keeps the tasks they tell of.

    `celery_app` is a `celery.Celery`; without one, Celery's current app. `io_loop` may be a Tornado
    loop, an asyncio loop or None: the work is done in a thread of its own and never on that loop.
    With `db` the tasks are kept in that directory and are there again next time; without, in a
    private temporary one that goes when this object does. `max_tasks` bounds what is kept.

    Use `start()` and `stop()`, or `with Events(app) as events:`. The Events last started is the one
    that functions and handlers mean when none is named.
    """

    def __init__(
        self,
        celery_app: Any = None,
        io_loop: Any = None,
        *,
        db: str | None = None,
        enable_events: bool = True,
        max_tasks: int | None = None,
    ) -> None:
        if celery_app is None:
            from celery import current_app  # noqa: PLC0415 - Celery is heavy, and most callers have their own

            celery_app = current_app
        self.app = celery_app
        self.io_loop = io_loop
        self._temporary = tempfile.TemporaryDirectory(prefix="bellflower-") if db is None else None
        self.db = f"{self._temporary.name}/store" if self._temporary is not None else str(db)
        self._enable_events = enable_events
        self._retention = Retention(max_tasks=max_tasks)
        self._reader: Reader | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def store(self) -> Reader:
        """Everything that has been kept, for reading."""
        if self._reader is None:
            self._reader = open_reader(self.db)
        return self._reader

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> Self:
        """Begin to capture. Returns when the store is open; the broker may still be away.

        Raises StoreError if the store cannot be used.
        """
        if self.running:
            return self
        settings = RecorderSettings(
            db=self.db,
            capture=settings_from_app(
                self.app, enable_events=self._enable_events, delete_queue_on_stop=self._temporary is not None
            ),
            retention=self._retention,
        )
        self._stop.clear()
        beginning = _StartupResult()
        self._thread = threading.Thread(
            target=_run_with_restarts, args=(settings, self._stop, beginning), name="bellflower-recorder", daemon=True
        )
        self._thread.start()
        beginning.wait()
        weakref.finalize(self, self._stop.set)
        set_current_events(self)
        return self

    def stop(self) -> None:
        """End the capture; what was captured is written first. The tasks stay readable."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        unset_current_events(self)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()


class _StartupResult:
    """Tells the starting thread that the store is open, or hands it the error."""

    def __init__(self) -> None:
        self._happened = threading.Event()
        self._error: BaseException | None = None

    def set_ready(self) -> None:
        self._happened.set()

    def set_error(self, error: BaseException) -> bool:
        """True if the starter still waits, and will raise it."""
        if self._happened.is_set():
            return False
        self._error = error
        self._happened.set()
        return True

    def wait(self) -> None:
        self._happened.wait()
        if self._error is not None:
            raise self._error


def _run_with_restarts(settings: RecorderSettings, stop: threading.Event, startup: _StartupResult) -> None:
    while not stop.is_set():
        try:
            run_recorder(settings, stop, startup.set_ready)
        except Exception as error:  # a monitor that dies silently is worse than any error
            if startup.set_error(error):
                return
            log.exception("Recording broke down; it begins again in %.0f s", RESTART_DELAY)
            stop.wait(RESTART_DELAY)
