"""The monitored Celery application, imported on first use.

Importing Celery takes longer than importing everything else, and the first page does not need it."""

import sys
import threading
from collections.abc import Callable
from typing import Any

from flower.errors import InvalidRequest


class LazyApp:
    """Callable that returns the application and imports it on the first call. Thread-safe.

    `is_user_app`: the application is the user's own, with the settings that its workers and producers have."""

    def __init__(self, load: Callable[[], Any], *, is_user_app: bool = True) -> None:
        self._load = load
        self.is_user_app = is_user_app
        self._lock = threading.Lock()
        self._app: Any = None

    @property
    def loaded_app(self) -> Any:
        """The application if it has been imported, else None."""
        return self._app

    def __call__(self) -> Any:
        with self._lock:
            if self._app is None:
                self._app = self._load()
            return self._app


def lazy_app(name: str | None, broker: str | None) -> LazyApp:
    """The application named by `-A`, or a default one without a name; `broker` overrides its broker URL."""

    def load() -> Any:
        from celery.app.utils import find_app  # noqa: PLC0415 - see above

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
            app.conf.broker_url = broker
        return import_task_modules(app)

    return LazyApp(load, is_user_app=name is not None)


def import_task_modules(app: Any) -> Any:
    """Import the task modules that the application's settings name, which registers its tasks. Returns `app`."""
    app.loader.import_default_modules()
    return app
