"""Composition root: connects the packages, and starts and stops them in order.

`serve` serves HTTP in this process and supervises the recorder process. `recorder_process.record_only` is the recorder
without HTTP.
"""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pprint import pformat

from starlette.types import ASGIApp

from flower import cluster
from flower.access.factory import create_authenticator
from flower.api.actions.bulk_runner import run_jobs
from flower.api.background import record_unlisted_logins, run_background_tasks
from flower.api.context import Context
from flower.api.format_task import with_format_task
from flower.celery_app import LazyApp
from flower.cluster.inspection_cache import InspectionCache
from flower.config import Config, to_log_dict
from flower.descriptor_limit import raise_descriptor_limit
from flower.errors import FlowerError
from flower.logging_setup import forward_child_line, restore_logging
from flower.malloc import limit_malloc_arenas
from flower.metrics import Metrics, MetricsSettings
from flower.recorder_settings import redaction_rules, settings_from_config
from flower.redaction import Redactor
from flower.sockets import bind_tcp, bind_unix, socket_url
from flower.store.factory import open_ledger, open_reader
from flower.supervisor import Supervisor
from flower.web.application import create_app, create_metrics_app
from flower.web.host_check import allowed_hosts_for
from flower.web.open_connections import LOW_MAX_CONNECTIONS, OpenConnections, max_connections
from flower.web.preparation import prepare_requests
from flower.web.server import HttpServer, create_server, has_tls
from flower.web.start_log import log_broker_and_tasks, log_permission_to_act, log_store, log_version

log = logging.getLogger(__name__)

#: Seconds that a read of the store may take; after that the query fails with a hint to narrow it.
STORE_READ_TIMEOUT = 10.0


def serve(config: Config, app: LazyApp, *, with_recorder: bool = True, quiet: bool = False) -> None:
    """Serve until a signal arrives. `quiet` suppresses the lines at start and end.
    Raises FlowerError if the server or the recorder cannot start."""
    limit_malloc_arenas()
    app.after_load = restore_logging
    descriptor_limit = raise_descriptor_limit()
    binding = bind_unix(config.unix_socket) if config.unix_socket else bind_tcp(config.address, config.port)
    with binding as listeners, _bind_metrics_port(config) as metrics_listeners:
        connections = OpenConnections(max_connections(descriptor_limit), time.monotonic)
        server = _Server(
            config, app, listeners, metrics_listeners, connections, with_recorder=with_recorder, quiet=quiet
        )
        asyncio.run(server.run())


def _bind_metrics_port(config: Config) -> AbstractContextManager[list[socket.socket]]:
    return bind_tcp(config.address, config.metrics_port) if config.metrics_port else nullcontext([])


def metrics_settings(config: Config) -> MetricsSettings:
    return MetricsSettings(
        bucket_bounds=config.task_runtime_metric_buckets,
        max_label_values=config.metrics_max_names,
        purge_offline_workers=config.purge_offline_workers,
        max_bytes=int(config.max_size),
        max_tasks=config.max_tasks,
    )


class _Server:
    """The HTTP servers, background tasks and recorder supervisor of one process."""

    def __init__(
        self,
        config: Config,
        app: LazyApp,
        listeners: Sequence[socket.socket],
        metrics_listeners: Sequence[socket.socket],
        connections: OpenConnections,
        *,
        with_recorder: bool,
        quiet: bool,
    ) -> None:
        self._config = config
        self._app = app
        self._listeners = list(listeners)
        #: empty if /metrics is served on the main port
        self._metrics_listeners = list(metrics_listeners)
        #: those of all ports
        self._connections = connections
        self._with_recorder = with_recorder
        self._quiet = quiet
        self._redactor = Redactor(redaction_rules(config))
        self._reader = open_reader(config.db, time_limit=STORE_READ_TIMEOUT)
        self._ledger = open_ledger(config.db)
        self._access = create_authenticator(config, self._ledger, os.environ)
        self._stop = asyncio.Event()
        self._fatal_error: FlowerError | None = None
        self._supervisor: Supervisor | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        context = self._context()
        servers = [(self._http_server(create_app(context), self._listeners), self._listeners)]
        if self._metrics_listeners:
            metrics_server = self._http_server(create_metrics_app(context), self._metrics_listeners)
            servers.append((metrics_server, self._metrics_listeners))
        server_tasks = [asyncio.create_task(http.serve(sockets=sockets)) for http, sockets in servers]
        supervision = asyncio.create_task(self._load_app_and_supervise(context))
        bulk_jobs = asyncio.create_task(self._run_jobs())
        background = asyncio.create_task(run_background_tasks(context))
        self._log_addresses()
        await self._stop.wait()
        supervision.cancel()
        self._app.abandon()
        background.cancel()
        if self._supervisor is not None:
            await self._supervisor.stop()
        await asyncio.gather(supervision, background, return_exceptions=True)
        await bulk_jobs
        await record_unlisted_logins(context, all_of_them=True)
        context.live.close("the server stops")
        for http, _ in servers:
            http.should_exit = True
        await asyncio.gather(*server_tasks)
        self._reader.close()
        self._ledger.close()
        if self._fatal_error is not None:
            raise self._fatal_error
        if not self._quiet:
            log.info("Stopped")

    def _http_server(self, app: ASGIApp, listeners: Sequence[socket.socket]) -> HttpServer:
        config = self._config
        return create_server(
            app,
            config,
            self._connections,
            allowed_hosts=allowed_hosts_for(
                config.allowed_hosts, config.address, listeners, login_required=self._access.is_required
            ),
            is_trusted=self._access.trusted_proxy.is_trusted,
        )

    async def _load_app_and_supervise(self, context: Context) -> None:
        """Import Celery and the application (slow), then supervise the recorder."""
        try:
            if not self._quiet:
                await asyncio.to_thread(log_store, self._config, self._reader)
                log_permission_to_act(self._config, has_login=self._access.is_required)
            await asyncio.to_thread(cluster.load)
            await asyncio.to_thread(cluster.results.limit_decompression)
            app = await asyncio.to_thread(self._app)
            if not self._quiet:
                await asyncio.to_thread(log_broker_and_tasks, app)
            asyncio.get_running_loop().run_in_executor(None, prepare_requests, context, self._stop.is_set)
            if self._with_recorder:
                settings = await asyncio.to_thread(settings_from_config, self._config, self._app)
                on_log_line = forward_child_line if self._config.log_file_prefix else None
                self._supervisor = Supervisor(settings, self._abort, on_log_line)
                await self._supervisor.run()
        except FlowerError as error:
            self._abort(error)
        except Exception as error:
            # Without a recorder the pages would look healthy and show no data.
            log.exception("Cannot start the recorder")
            self._abort(FlowerError(f"Cannot start the recorder: {error}"))

    async def _run_jobs(self) -> None:
        """Execute bulk jobs until shutdown; an unfinished job resumes after the next start."""
        if not self._config.read_only:
            await run_jobs(self._reader, self._app, self._ledger, self._stop)

    def _abort(self, error: FlowerError) -> None:
        self._fatal_error = error
        self._stop.set()

    def _log_addresses(self) -> None:
        if self._connections.max_connections < LOW_MAX_CONNECTIONS:
            log.warning(
                "The limit of open files allows only %d connections; raise it (ulimit -n, LimitNOFILE= in systemd)",
                self._connections.max_connections,
            )
        if self._quiet:
            return
        log_version()
        config = self._config
        prefix = config.url_prefix.strip("/")
        if config.unix_socket:
            log.info("Visit me via unix socket file: %s", config.unix_socket)
        else:
            url = socket_url(self._listeners[0], config.address, tls=has_tls(config))
            log.info("Visit me at %s%s", url, f"/{prefix}/" if prefix else "")
        log.debug("Settings: %s", pformat(to_log_dict(config)))

    def _context(self) -> Context:
        config = self._config
        return Context(
            store=with_format_task(self._reader, config.format_task),
            ledger=self._ledger,
            app=self._app,
            read_only=config.read_only,
            audit_max_age=float(config.audit_max_age),
            redactor=self._redactor,
            unformatted_store=self._reader,
            bulk_limit=config.bulk_limit,
            bulk_rate=config.bulk_rate,
            access=self._access,
            oauth2_redirect_uri=config.oauth2_redirect_uri,
            url_prefix=config.url_prefix,
            inspections=InspectionCache(config.max_workers),
            inspect_timeout=config.inspect_timeout / 1000,
            purge_offline_workers=config.purge_offline_workers,
            broker_api=config.broker_api,
            metrics=Metrics(metrics_settings(config)),
            metrics_token=config.metrics_token,
            separate_metrics_port=bool(config.metrics_port),
            tasks_columns=config.tasks_columns,
            natural_time=config.natural_time,
            auto_refresh=config.auto_refresh,
            log_url=config.log_url,
            max_age=float(config.max_age),
            max_tasks=config.max_tasks,
            debug=config.debug,
        )
