"""What a web server is handed to work with: the parts and the settings. Nothing here is made by a request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flower.access.authenticator import Authenticator
from flower.api.cache import SingleFlightCache
from flower.api.event_counts import EventCountCache
from flower.api.health.models import Health
from flower.api.queue_names import QueueNameCache
from flower.cluster.inspection_cache import InspectionCache
from flower.live import Hub
from flower.metrics import Metrics
from flower.redaction import Redactor
from flower.store.ledger import Ledger
from flower.store.protocols import Reader

if TYPE_CHECKING:  # Celery takes a third of a second to import; only what speaks to the cluster needs it
    from celery import Celery


@dataclass(frozen=True, slots=True)
class Context:
    store: Reader
    #: gives the Celery application; not called until something is asked of the cluster
    app: "Callable[[], Celery]"
    #: what people do
    ledger: Ledger
    read_only: bool = False
    #: seconds that entries of the audit log are kept; 0 = always
    audit_max_age: float = 0.0
    #: what is not to be kept or shown, of arguments that no event told
    redactor: Redactor = field(default_factory=Redactor)
    #: knows who is asking; this one needs no login
    access: Authenticator = field(default_factory=Authenticator)
    #: address of /login as the OAuth provider knows it; "" = as the browser knows it
    oauth2_redirect_uri: str = ""
    #: tasks that one bulk job takes, and how many of them are worked off in a second
    bulk_limit: int = 10_000
    bulk_rate: float = 100.0
    #: pages of errors tell what went wrong inside
    debug: bool = False
    #: slashes at its ends make no difference
    url_prefix: str = ""
    #: of the tasks page, in this order
    tasks_columns: str = "name,uuid,state,received,runtime,worker"
    #: whether it tells times as 5 minutes ago
    natural_time: bool = False
    #: whether pages show news by themselves until somebody stops them
    auto_refresh: bool = True
    #: address of the logs of a task, with {uuid}, {worker}, {start} … in it; "" = there is none
    log_url: str = ""
    #: how long and how many tasks are kept, as pages say it; 0 = without end
    max_age: float = 0.0
    max_tasks: int = 0
    #: what workers said when they were asked
    inspections: InspectionCache = field(default_factory=InspectionCache)
    event_counts: EventCountCache = field(default_factory=EventCountCache)
    queue_names: QueueNameCache = field(default_factory=QueueNameCache)
    #: whether anything is wrong, as of the last second
    health_cache: SingleFlightCache[Health] = field(default_factory=lambda: SingleFlightCache(1.0))
    #: who is told of changes as they happen
    live: Hub = field(default_factory=Hub)
    #: seconds to wait for workers when they are asked how they are, and when they are told something
    inspect_timeout: float = 1.0
    reply_timeout: float = 5.0
    #: seconds after which workers that went are left out; None = never
    purge_offline_workers: float | None = None
    #: what /metrics tells; who asks for it must show this, "" = anybody; with a port of its own it is nowhere else
    metrics: Metrics = field(default_factory=Metrics)
    metrics_token: str = ""
    separate_metrics_port: bool = False
    #: of RabbitMQ; "" = where it would be
    broker_api: str = ""
    #: the records as they were captured, where `store` shows them changed (`format_task`): actions go by these
    unformatted_store: Reader | None = None

    @property
    def recorded_reader(self) -> Reader:
        return self.store if self.unformatted_store is None else self.unformatted_store

    @property
    def root_path(self) -> str:
        """What comes before every path of ours."""
        return f"/{self.url_prefix.strip('/')}" if self.url_prefix.strip("/") else ""

    @property
    def login_required(self) -> bool:
        return self.access.is_required
