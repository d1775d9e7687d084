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
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pprint import pformat
from typing import TYPE_CHECKING, Any

from flower.access.opening import authenticator
from flower.allocation import share_arenas
from flower.api.actions.runner import run_jobs
from flower.api.context import Context
from flower.api.formatting import formatted
from flower.api.watching import watch
from flower.celery_app import LazyApp
from flower.cluster.inspected import Inspections
from flower.config import Config, log_level, shown
from flower.errors import FlowerError
from flower.listening import listening, listening_at, url
from flower.logs import relay
from flower.metrics import Metrics
from flower.metrics import Settings as MetricsSettings
from flower.redaction import Redactor, Rules, masked, rules_from
from flower.store.opening import open_ledger, open_reader
from flower.store.port import Retention
from flower.supervisor import Supervisor
from flower.web.application import create_app, create_metrics_app
from flower.web.serving import has_tls, http_server

if TYPE_CHECKING:
    from flower.recording import RecordingSettings

log = logging.getLogger(__name__)

#: Seconds that anyone may wait for an answer from the store before being told to narrow the question.
READ_TIME_LIMIT = 10.0


def serve(config: Config, app: LazyApp, *, with_recorder: bool = True, quiet: bool = False) -> None:
    """Serve until a signal; `quiet` without the lines that say where. Raises FlowerError if it cannot start or the
    recorder cannot."""
    share_arenas()
    opened = listening_at(config.unix_socket) if config.unix_socket else listening(config.address, config.port)
    with opened as listeners, _listening_for_metrics(config) as for_metrics:
        asyncio.run(_Server(config, app, listeners, for_metrics, with_recorder=with_recorder, quiet=quiet).run())


def _listening_for_metrics(config: Config) -> AbstractContextManager[list[socket.socket]]:
    return listening(config.address, config.metrics_port) if config.metrics_port else nullcontext([])


def record_only(config: Config, app: LazyApp) -> None:
    """Record in this process until a signal. Raises FlowerError if it cannot start."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    from flower.recording import record  # noqa: PLC0415 - brings Celery in

    record(recording_settings(config, app), stop, ready=lambda: log.info("Recording into %s", config.db))


def recording_settings(config: Config, app: LazyApp) -> "RecordingSettings":
    from flower.capture.settings import settings_from_app  # noqa: PLC0415 - brings Celery in
    from flower.counting import Limits  # noqa: PLC0415
    from flower.recording import RecordingSettings  # noqa: PLC0415

    return RecordingSettings(
        db=config.db,
        capture=settings_from_app(
            app(),
            enable_events=config.enable_events,
            queue_expires=float(config.event_queue_expires),
            max_length=config.event_queue_length,
            redaction=redaction_rules(config),
        ),
        retention=Retention(
            max_tasks=config.max_tasks or None,
            max_age=float(config.max_age) or None,
            max_bytes=int(config.max_size) or None,
        ),
        limits=Limits(config.metrics_max_names, config.metrics_max_pairs, config.task_runtime_metric_buckets),
        log_level=log_level(config),
        index_process=True,
    )


def metrics_settings(config: Config) -> MetricsSettings:
    return MetricsSettings(
        bounds=config.task_runtime_metric_buckets,
        names=config.metrics_max_names,
        purge_offline_workers=config.purge_offline_workers,
        max_bytes=int(config.max_size),
        max_tasks=config.max_tasks,
    )


def redaction_rules(config: Config) -> Rules:
    """Raises Invalid."""
    return rules_from(config.redact, config.redact_patterns, config.redact_args or ())


class _Server:
    def __init__(
        self,
        config: Config,
        app: LazyApp,
        listeners: Sequence[socket.socket],
        for_metrics: Sequence[socket.socket],
        *,
        with_recorder: bool,
        quiet: bool,
    ) -> None:
        self._config = config
        self._app = app
        self._listeners = list(listeners)
        #: none if metrics are served with everything else
        self._for_metrics = list(for_metrics)
        self._with_recorder = with_recorder
        self._quiet = quiet
        self._redactor = Redactor(redaction_rules(config))
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
        servers = [(http_server(create_app(context), self._config), self._listeners)]
        if self._for_metrics:
            servers.append((http_server(create_metrics_app(context), self._config), self._for_metrics))
        serving = [asyncio.create_task(http.serve(sockets=sockets)) for http, sockets in servers]
        working = asyncio.create_task(self._work())
        bulk = asyncio.create_task(self._run_jobs())
        watching = asyncio.create_task(watch(context))
        self._say_where()
        await self._stop.wait()
        working.cancel()
        watching.cancel()
        if self._supervisor is not None:
            await self._supervisor.stop()
        await asyncio.gather(working, watching, return_exceptions=True)
        await bulk
        context.live.close("the server stops")
        for http, _ in servers:
            http.should_exit = True
        await asyncio.gather(*serving)
        self._reader.close()
        self._ledger.close()
        if self._fatal is not None:
            raise self._fatal

    async def _work(self) -> None:
        """Load the application (slow: Celery), then keep the recorder alive."""
        try:
            app = await asyncio.to_thread(self._app)
            if not self._quiet:
                await asyncio.to_thread(_say_what_is_watched, app)
            if self._with_recorder:
                settings = await asyncio.to_thread(recording_settings, self._config, self._app)
                relayed = relay if self._config.log_file_prefix else None
                self._supervisor = Supervisor(settings, self._give_up, relayed)
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

    def _say_where(self) -> None:
        if self._quiet:
            return
        config = self._config
        prefix = config.url_prefix.strip("/")
        if config.unix_socket:
            log.info("Visit me via unix socket file: %s", config.unix_socket)
        else:
            where = url(self._listeners[0], config.address, tls=has_tls(config))
            log.info("Visit me at %s%s", where, f"/{prefix}/" if prefix else "")
        log.debug("Settings: %s", pformat(shown(config)))

    def _context(self) -> Context:
        config = self._config
        return Context(
            store=formatted(self._reader, config.format_task),
            ledger=self._ledger,
            app=self._app,
            read_only=config.read_only,
            audit_max_age=float(config.audit_max_age),
            redactor=self._redactor,
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
            metrics=Metrics(metrics_settings(config)),
            metrics_token=config.metrics_token,
            metrics_apart=bool(config.metrics_port),
            tasks_columns=config.tasks_columns,
            natural_time=config.natural_time,
            auto_refresh=config.auto_refresh,
            log_url=config.log_url,
            max_age=float(config.max_age),
            max_tasks=config.max_tasks,
            debug=config.debug,
        )


def _say_what_is_watched(app: Any) -> None:
    log.info("Broker: %s", masked(app.conf.broker_read_url))
    log.info("Registered tasks: \n%s", pformat(sorted(app.tasks)))
