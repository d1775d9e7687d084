"""Dependencies of a web server: its components and settings. Requests do not change it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flower.access.authenticator import Authenticator
from flower.api.cache import SingleFlightCache
from flower.api.health.models import Health
from flower.api.login_audit import LoginAudit
from flower.api.queue_depths import QueueDepths
from flower.api.queues import QueueNameCache
from flower.api.worker_stats import WorkerStats
from flower.api.worker_table import EventCountCache
from flower.cluster.inspection_cache import InspectionCache
from flower.live import Hub
from flower.metrics import Metrics
from flower.redaction import Redactor
from flower.store.ledger import Ledger
from flower.store.protocols import Reader

if TYPE_CHECKING:  # the import of Celery takes 0.3 s; it is delayed until the server has started
    from celery import Celery


@dataclass(frozen=True, slots=True)
class Context:
    #: tasks as they are displayed: after `format_task`
    store: Reader
    #: returns the Celery application; the first call imports it
    app: "Callable[[], Celery]"
    ledger: Ledger
    read_only: bool = False
    #: seconds after which audit entries are removed; 0 = never
    audit_max_age: float = 0.0
    #: for arguments that do not come from events: those of re-runs and inspection replies
    redactor: Redactor = field(default_factory=Redactor)
    #: the default requires no sign-in
    access: Authenticator = field(default_factory=Authenticator)
    #: limits the audit entries of failed sign-ins
    login_audit: LoginAudit = field(default_factory=LoginAudit)
    #: URL of /login as registered with the OAuth provider; "" = as in the browser
    oauth2_redirect_uri: str = ""
    #: maximum number of tasks of a bulk job, and tasks per second
    bulk_limit: int = 10_000
    bulk_rate: float = 100.0
    #: error pages contain the traceback
    debug: bool = False
    #: path prefix of all routes, with or without slashes at its ends
    url_prefix: str = ""
    #: columns of the task list, in order
    tasks_columns: str = "name,uuid,state,received,runtime,worker"
    #: relative timestamps
    natural_time: bool = False
    #: pages refresh automatically by default
    auto_refresh: bool = True
    #: URL template of the logs of a task, with {uuid}, {worker}, {start} …; "" = none
    log_url: str = ""
    #: retention as shown on pages; 0 = unlimited
    max_age: float = 0.0
    max_tasks: int = 0
    #: inspection replies of workers
    inspections: InspectionCache = field(default_factory=InspectionCache)
    event_counts: EventCountCache = field(default_factory=EventCountCache)
    queue_names: QueueNameCache = field(default_factory=QueueNameCache)
    queue_depths: QueueDepths = field(default_factory=QueueDepths)
    worker_stats: WorkerStats = field(default_factory=WorkerStats)
    #: caches the health report for one second
    health_cache: SingleFlightCache[Health] = field(default_factory=lambda: SingleFlightCache(1.0))
    #: held while the OpenAPI document is built
    openapi_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: live streams
    live: Hub = field(default_factory=Hub)
    #: seconds to wait for replies of workers: to inspect, and to control commands
    inspect_timeout: float = 1.0
    reply_timeout: float = 5.0
    #: seconds after which offline workers are hidden; None = never
    purge_offline_workers: float | None = None
    metrics: Metrics = field(default_factory=Metrics)
    #: token required for /metrics; "" = none
    metrics_token: str = ""
    #: /metrics is served on a port of its own and nowhere else
    separate_metrics_port: bool = False
    #: URL of the RabbitMQ management API; "" = derived from the broker URL
    broker_api: str = ""
    #: tasks as they were recorded, if `store` applies `format_task`; see `recorded_reader`
    unformatted_store: Reader | None = None

    @property
    def recorded_reader(self) -> Reader:
        """Tasks as they were recorded, without `format_task`. Actions, metrics and health use it."""
        return self.store if self.unformatted_store is None else self.unformatted_store

    @property
    def root_path(self) -> str:
        """`url_prefix` with a leading and without a trailing slash; "" without a prefix."""
        return f"/{self.url_prefix.strip('/')}" if self.url_prefix.strip("/") else ""

    @property
    def login_required(self) -> bool:
        return self.access.is_required
