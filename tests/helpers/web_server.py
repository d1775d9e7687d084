"""The web application on a real HTTP server in a thread."""

import dataclasses
import tempfile
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx
import uvicorn

from flower.access.factory import create_authenticator
from flower.api.context import Context
from flower.config import OPTION_NAMES, Config
from flower.store.factory import open_ledger
from flower.store.protocols import Reader
from flower.web.application import create_app
from tests.helpers.servers import wait_for

#: Options that are parameters of `Context`.
_OF_CONTEXT = {field.name for field in dataclasses.fields(Context)}


def no_application() -> Any:
    raise AssertionError("this test must not access the cluster")


class WebServer:
    """A web server; `http` is a client of it. Arguments that are options configure the authenticator, all others are
    parameters of `Context`."""

    def __init__(
        self,
        store: Reader,
        app: Callable[[], Any] = no_application,
        *,
        environment: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.ledger = open_ledger(self._folder.name)
        options = {
            name: settings.pop(name) for name in list(settings) if name in OPTION_NAMES and name not in _OF_CONTEXT
        }
        self.access = create_authenticator(Config(**options), self.ledger, environment or {})
        self.context = Context(store, app, self.ledger, access=self.access, **settings)
        config = uvicorn.Config(
            create_app(self.context),
            port=0,
            log_level="critical",
            lifespan="off",
            proxy_headers=False,
            timeout_graceful_shutdown=1,  # an open stream must not delay the test
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    @property
    def port(self) -> int:
        return int(self.server.servers[0].sockets[0].getsockname()[1])

    def __enter__(self) -> Self:
        self.thread.start()
        wait_for("the web server", lambda: self.server.started)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.http.close()
        self.server.should_exit = True
        self.thread.join(20)
        self.ledger.close()
        self._folder.cleanup()
