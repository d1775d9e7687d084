"""The web application on a real HTTP server in a thread."""

import dataclasses
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from flower.access.factory import create_authenticator
from flower.api.context import Context
from flower.config import OPTION_NAMES, Config
from flower.sockets import bind_tcp
from flower.store.factory import open_ledger
from flower.store.protocols import Reader
from flower.web.application import create_app
from flower.web.host_check import AllowedHosts
from flower.web.open_connections import OpenConnections
from flower.web.server import create_server
from tests.helpers.servers import wait_for

#: Options that are parameters of `Context`.
_OF_CONTEXT = {field.name for field in dataclasses.fields(Context)}


def no_application() -> Any:
    raise AssertionError("this test must not access the cluster")


class WebServer:
    """A web server; `http` is a client of it. Arguments that are options configure the authenticator, all others are
    parameters of `Context`. Servers with the same `folder` share the ledger."""

    def __init__(
        self,
        store: Reader,
        app: Callable[[], Any] = no_application,
        *,
        environment: Mapping[str, str] | None = None,
        max_connections: int = 1_000,
        allowed_hosts: AllowedHosts | None = None,
        tls: tuple[Path, Path] | None = None,
        xheaders: bool = False,
        folder: Path | None = None,
        listeners: Sequence[socket.socket] = (),
        **settings: Any,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.ledger = open_ledger(folder or self._folder.name)
        options = {
            name: settings.pop(name) for name in list(settings) if name in OPTION_NAMES and name not in _OF_CONTEXT
        }
        self.access = create_authenticator(Config(**options), self.ledger, environment or {})
        self.context = Context(store, app, self.ledger, access=self.access, **settings)
        self.connections = OpenConnections(max_connections, time.monotonic)
        certfile, keyfile = map(str, tls or ("", ""))
        config = Config(certfile=certfile, keyfile=keyfile, xheaders=xheaders)
        self.server = create_server(create_app(self.context), config, self.connections, allowed_hosts=allowed_hosts)
        self.server.config.timeout_graceful_shutdown = 1  # an open stream must not delay the test
        self._binding = ExitStack()
        (listener,) = self._binding.enter_context(bind_tcp("127.0.0.1", 0))
        self.port = int(listener.getsockname()[1])
        self.thread = threading.Thread(target=self.server.run, args=([listener, *listeners],), daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        wait_for("the web server", lambda: self.server.started)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.http.close()
        self.server.should_exit = True
        self.thread.join(20)
        self._binding.close()
        self.ledger.close()
        self._folder.cleanup()
