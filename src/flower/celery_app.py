"""The monitored Celery application, imported on first use.

Importing Celery takes longer than importing everything else, and the first page does not need it."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from flower.errors import BackendUnavailable, InvalidRequest

#: Seconds for connecting to the result backend, and for one response of it. Celery's defaults are 120 s and unlimited:
#: a backend that does not answer would block all threads that read results.
BACKEND_TIMEOUT: Final = 10.0

#: Arguments of the drivers of SQL backends that limit connecting and, where possible, each response.
_DRIVER_ARGUMENTS: Final = {
    "db+postgresql": {"connect_timeout": int(BACKEND_TIMEOUT), "tcp_user_timeout": int(BACKEND_TIMEOUT * 1000)},
    "db+mysql": dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), int(BACKEND_TIMEOUT)),
}


class LazyApp:
    """Callable that returns the application and imports it on the first call. Thread-safe.

    `is_user_app`: the application is the user's own, with the settings that its workers and producers have.
    `after_load` is called once the application has been imported."""

    def __init__(self, load: Callable[[], Any], *, is_user_app: bool = True) -> None:
        self._load = load
        self.is_user_app = is_user_app
        self.after_load: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._future: Future[Any] | None = None

    @property
    def loaded_app(self) -> Any:
        """The application if it has been imported, else None."""
        future = self._future
        return future.result() if future is not None and future.done() and future.exception() is None else None

    def __call__(self) -> Any:
        """Raises FlowerError if the application cannot be imported; the next call tries again."""
        with self._lock:
            future, is_first = self._future, self._future is None
            if future is None:
                future = self._future = Future()
        if is_first and threading.current_thread() is threading.main_thread():
            self._run(future)
        elif is_first:
            # An import cannot be cancelled. A daemon thread does not delay the exit of the process.
            threading.Thread(target=self._run, args=(future,), daemon=True, name="flower-application").start()
        return future.result()

    def abandon(self) -> None:
        """Do not wait for an import that is running: calls raise BackendUnavailable."""
        with self._lock:
            if self._future is None:
                self._future = Future()
            if not self._future.done():
                self._future.set_exception(BackendUnavailable("The application is not loaded: the server stops"))

    def _run(self, future: "Future[Any]") -> None:
        try:
            app = self._load()
            limit_backend_time(app)
            self.after_load()
        except BaseException as error:  # noqa: BLE001 - raised in the calling threads
            with self._lock:
                if not future.done():
                    self._future = None
                    future.set_exception(error)
        else:
            with self._lock:
                if not future.done():
                    future.set_result(app)


def lazy_app(name: str | None, broker: str | None) -> LazyApp:
    """The application named by `-A`, or a default one without a name; `broker` overrides its broker URL."""

    def load() -> Any:
        from celery.app.utils import find_app  # noqa: PLC0415 - see above

        if broker:
            set_broker_variables(broker)
        if name is None:
            from celery import Celery  # noqa: PLC0415

            app = Celery("flower")
        else:
            if "" not in sys.path:
                sys.path.insert(0, "")
            try:
                app = find_app(name)
            except Exception as error:
                raise InvalidRequest(f"Unable to load the Celery application '{name}': {error}") from error
        if broker:
            override_broker(app, broker)
        return import_task_modules(app)

    return LazyApp(load, is_user_app=name is not None)


#: Variables of the environment that Celery reads before the application's settings.
_BROKER_VARIABLES: Final = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")


def set_broker_variables(broker: str) -> None:
    """Replace the broker URL of the environment, as `celery -b` does. An application may read it at import."""
    for variable in _BROKER_VARIABLES:
        os.environ.pop(variable, None)
    os.environ[_BROKER_VARIABLES[0]] = broker


def override_broker(app: Any, broker: str) -> None:
    """Use this broker for reading and writing, whatever the settings of the application and the environment contain."""
    set_broker_variables(broker)
    app.conf.update(broker_url=broker, broker_read_url=broker, broker_write_url=broker)


def import_task_modules(app: Any) -> Any:
    """Import the task modules that the application's settings name, which registers its tasks. Returns `app`."""
    app.loader.import_default_modules()
    return app


def limit_backend_time(app: Any) -> None:
    """Limit the time that connections to the result backend may take in this process. Shorter limits of the application
    remain."""
    conf = app.conf
    for name in ("redis_socket_timeout", "redis_socket_connect_timeout"):
        configured = conf.get(name)
        conf[name] = min(float(configured), BACKEND_TIMEOUT) if configured else BACKEND_TIMEOUT
    scheme = str(conf.get("result_backend") or "").partition(":")[0]
    for prefix, arguments in _DRIVER_ARGUMENTS.items():
        if scheme.startswith(prefix):
            options = dict(conf.get("database_engine_options") or {})
            options["connect_args"] = {**arguments, **(options.get("connect_args") or {})}
            conf["database_engine_options"] = options
