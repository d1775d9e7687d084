"""The Celery application that is watched, loaded when somebody first needs it.

Celery takes longer to import than everything else together, and the first page does not need it.
"""

import sys
import threading
from collections.abc import Callable
from typing import Any

from flower.errors import Invalid


class LazyApp:
    """Calling it gives the application; the first call imports it. Safe from any thread.

    `named`: it is the user's own, with the settings that workers and senders have too."""

    def __init__(self, load: Callable[[], Any], *, named: bool = True) -> None:
        self._load = load
        self.named = named
        self._lock = threading.Lock()
        self._app: Any = None

    @property
    def loaded(self) -> Any:
        """The application if somebody has needed it already, else None."""
        return self._app

    def __call__(self) -> Any:
        with self._lock:
            if self._app is None:
                self._app = self._load()
            return self._app


def named(name: str | None, broker: str | None) -> LazyApp:
    """The application that `-A` names, else a default one; `broker` overrides its broker URL."""

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
                raise Invalid(f"Unable to load the Celery application '{name}': {error}") from error
        if broker:
            app.conf.broker_url = broker
        return prepared(app)

    return LazyApp(load, named=name is not None)


def prepared(app: Any) -> Any:
    """With the task modules that its settings name imported, so that its tasks are registered."""
    app.loader.import_default_modules()
    return app
