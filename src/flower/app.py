"""The one file that joins the rooms: starts and stops them in order.

serve     this process serves HTTP and supervises the recorder's process
record    the recorder alone; web    HTTP alone
"""

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from flower.access.opening import authenticator
from flower.allocation import share_arenas
from flower.api.actions.runner import run_jobs
from flower.api.context import Context
from flower.api.formatting import formatted
from flower.api.watching import watch
from flower.celery_app import LazyApp
from flower.cluster.inspected import Inspections
from flower.config import Config
from flower.errors import FlowerError, Invalid
from flower.store.opening import open_ledger, open_reader
from flower.store.port import Retention
from flower.supervisor import Supervisor
from flower.web.application import create_app

if TYPE_CHECKING:
    from flower.recording import RecordingSettings

log = logging.getLogger(__name__)

#: Seconds that anyone may wait for an answer from the store before being told to narrow the question.
READ_TIME_LIMIT = 10.0


def serve(config: Config, app: LazyApp, *, with_recorder: bool = True) -> None:
    """Serve until a signal. Raises FlowerError if it cannot start or the recorder cannot."""
    share_arenas()
    with _listening(config) as listener:
        asyncio.run(_Server(config, app, listener, with_recorder=with_recorder).run())


def record_only(config: Config, app: LazyApp) -> None:
    """Record in this process until a signal. Raises FlowerError if it cannot start."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    from flower.recording import record  # noqa: PLC0415 - brings Celery in

    record(recording_settings(config, app), stop, ready=lambda: log.info("Recording into %s", config.db))


def recording_settings(config: Config, app: LazyApp) -> "RecordingSettings":
    from flower.capture.settings import settings_from_app  # noqa: PLC0415 - brings Celery in
    from flower.recording import RecordingSettings  # noqa: PLC0415
    from flower.redaction import rules_from  # noqa: PLC0415

    return RecordingSettings(
        db=config.db,
        capture=settings_from_app(
            app(),
            enable_events=config.enable_events,
            queue_expires=float(config.event_queue_expires),
            max_length=config.event_queue_length,
            redaction=rules_from(config.redact, config.redact_patterns, config.redact_args or ()),
        ),
        retention=Retention(
            max_tasks=config.max_tasks or None,
            max_age=float(config.max_age) or None,
            max_bytes=int(config.max_size) or None,
        ),
        log_level="DEBUG" if config.debug else config.logging.upper(),
        index_process=True,
    )


@contextmanager
def _listening(config: Config) -> Iterator[socket.socket]:
    """The socket, bound before anything else is started. Empty address = all, IPv4 and IPv6."""
    try:
        if config.address:
            listener = socket.create_server((config.address, config.port), backlog=512, family=_family(config.address))
        else:
            listener = socket.create_server(
                ("", config.port),
                family=socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET,
                dualstack_ipv6=socket.has_dualstack_ipv6(),
                backlog=512,
            )
    except OSError as error:
        where = f"{config.address or '*'}:{config.port}"
        raise Invalid(f"Cannot listen on {where}: {error.strerror or error}", hint="choose another --port") from error
    # asyncio sets it only on sockets that name their protocol; without it most answers wait 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with listener:
        yield listener


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class _Server:
    def __init__(self, config: Config, app: LazyApp, listener: socket.socket, *, with_recorder: bool) -> None:
        self._config = config
        self._app = app
        self._listener = listener
        self._with_recorder = with_recorder
        self._reader = open_reader(config.db, time_limit=READ_TIME_LIMIT)
        self._ledger = open_ledger(config.db)
        self._access = authenticator(config, self._ledger, os.environ)
        self._stop = asyncio.Event()
        self._fatal: FlowerError | None = None
        self._supervisor: Supervisor | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        context = self._context()
        settings = uvicorn.Config(
            create_app(context),
            log_config=None,
            access_log=False,
            lifespan="off",
            # uvicorn would believe whoever comes from this machine, and who asks is told by their address
            proxy_headers=False,
        )
        http = _Http(settings)
        serving = asyncio.create_task(http.serve(sockets=[self._listener]))
        working = asyncio.create_task(self._work())
        bulk = asyncio.create_task(self._run_jobs())
        watching = asyncio.create_task(watch(context))
        log.info("Visit me at %s", self.url)
        await self._stop.wait()
        working.cancel()
        watching.cancel()
        if self._supervisor is not None:
            await self._supervisor.stop()
        await asyncio.gather(working, watching, return_exceptions=True)
        await bulk
        http.should_exit = True
        await serving
        self._reader.close()
        self._ledger.close()
        if self._fatal is not None:
            raise self._fatal

    async def _work(self) -> None:
        """Load the application (slow: Celery), then keep the recorder alive."""
        try:
            app = await asyncio.to_thread(self._app)
            await asyncio.to_thread(_say_what_is_watched, app)
            if self._with_recorder:
                settings = await asyncio.to_thread(recording_settings, self._config, self._app)
                self._supervisor = Supervisor(settings, self._give_up)
                await self._supervisor.run()
        except FlowerError as error:
            self._give_up(error)
        except Exception as error:
            # Without a recorder the page would look healthy and show nothing.
            log.exception("The recorder cannot be started")
            self._give_up(FlowerError(f"The recorder cannot be started: {error}"))

    async def _run_jobs(self) -> None:
        """Work off bulk jobs until the end; one that is in the middle goes on after the next start."""
        if not self._config.read_only:
            await run_jobs(self._reader, self._app, self._ledger, self._stop)

    def _give_up(self, error: FlowerError) -> None:
        self._fatal = error
        self._stop.set()

    @property
    def url(self) -> str:
        host, port = self._listener.getsockname()[:2]
        if self._config.address in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            host = "127.0.0.1"
        prefix = self._config.url_prefix.strip("/")
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/{prefix + '/' if prefix else ''}"

    def _context(self) -> Context:
        config = self._config
        return Context(
            store=formatted(self._reader, config.format_task),
            ledger=self._ledger,
            app=self._app,
            read_only=config.read_only,
            captured=self._reader,
            bulk_limit=config.bulk_limit,
            bulk_rate=config.bulk_rate,
            access=self._access,
            oauth2_redirect_uri=config.oauth2_redirect_uri,
            url_prefix=config.url_prefix,
            inspections=Inspections(config.max_workers),
            inspect_timeout=config.inspect_timeout / 1000,
            purge_offline_workers=config.purge_offline_workers,
            broker_api=config.broker_api,
            tasks_columns=config.tasks_columns,
            natural_time=config.natural_time,
        )


class _Http(uvicorn.Server):
    """uvicorn without its signal handlers: order of stopping is ours."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _say_what_is_watched(app: Any) -> None:
    from flower.redaction import masked  # noqa: PLC0415 - the first page does not need it

    log.info("Broker: %s", masked(app.conf.broker_read_url))
    log.info("Registered tasks: %s", ", ".join(sorted(app.tasks)))
