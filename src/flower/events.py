"""`Events`: capture that runs inside another program, and access to the stored tasks."""

import logging
import tempfile
import threading
import weakref
from types import TracebackType
from typing import Any, Self

from celery import current_app

from flower.capture.settings import settings_from_app
from flower.current_events import set_current_events, unset_current_events
from flower.recorder_process import run_recorder
from flower.recorder_settings import RecorderSettings, reconcile_settings
from flower.redaction import Rules
from flower.store.factory import open_reader
from flower.store.protocols import Reader, Retention

log = logging.getLogger(__name__)

#: Seconds until a recorder that failed is restarted.
RESTART_DELAY = 2.0


class Events:
    """Captures the events of a Celery application and stores their tasks.

    `celery_app` is a `celery.Celery`, by default Celery's current app. `io_loop` may be a Tornado loop, an asyncio loop
    or None: the work runs in its own thread and never on that loop. With `db` the tasks are stored in that directory
    and available after a restart; without, they are stored in a temporary directory that is removed with this object.
    `max_tasks` limits the number of stored tasks. With `reconcile`, workers, result backend and broker are queried
    about unfinished tasks.

    Use `start()` and `stop()`, or `with Events(app) as events:`. Functions and handlers that are called without
    `events=` use the instance started last.
    """

    def __init__(
        self,
        celery_app: Any = None,
        io_loop: Any = None,
        *,
        db: str | None = None,
        enable_events: bool = True,
        max_tasks: int | None = None,
        reconcile: bool = True,
    ) -> None:
        if celery_app is None:
            celery_app = current_app
        self.app = celery_app
        self.io_loop = io_loop
        self._temporary = tempfile.TemporaryDirectory(prefix="bellflower-") if db is None else None
        self.db = f"{self._temporary.name}/store" if self._temporary is not None else str(db)
        self._enable_events = enable_events
        self._reconcile = reconcile
        self._retention = Retention(max_tasks=max_tasks)
        self._reader: Reader | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def store(self) -> Reader:
        """The stored data, for reading."""
        if self._reader is None:
            self._reader = open_reader(self.db)
        return self._reader

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> Self:
        """Start capturing. Returns when the store is open, even if the broker is not reachable yet.

        Raises StoreError if the store cannot be used."""
        if self.running:
            return self
        settings = RecorderSettings(
            db=self.db,
            capture=settings_from_app(
                self.app, enable_events=self._enable_events, delete_queue_on_stop=self._temporary is not None
            ),
            retention=self._retention,
            reconcile=reconcile_settings(self.app, Rules()) if self._reconcile else None,
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
        """Stop capturing, after what was captured is written. The tasks stay readable."""
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
    """Signals to the starting thread that the store is open, or passes the error to it."""

    def __init__(self) -> None:
        self._happened = threading.Event()
        self._error: BaseException | None = None

    def set_ready(self) -> None:
        self._happened.set()

    def set_error(self, error: BaseException) -> bool:
        """True if the starting thread is still waiting and will raise the error."""
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
        except Exception as error:  # a monitor that stops silently is worse than any error
            if startup.set_error(error):
                return
            log.exception("The recorder failed; restarting in %.0f s", RESTART_DELAY)
            stop.wait(RESTART_DELAY)
