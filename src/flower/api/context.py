"""What a web server is handed to work with: the parts and the settings. Nothing here is made by a request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flower.store.ledger import Ledger
from flower.store.port import Reader

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
    #: pairs `user:password`; any of them opens everything
    basic_auth: tuple[str, ...] = ()
    #: without slashes
    url_prefix: str = ""
    #: of the tasks page, in this order
    tasks_columns: str = "name,uuid,state,received,runtime,worker"
    #: whether it tells times as 5 minutes ago
    natural_time: bool = False

    @property
    def root(self) -> str:
        """What comes before every path of ours."""
        return f"/{self.url_prefix.strip('/')}" if self.url_prefix.strip("/") else ""

    @property
    def authenticated(self) -> bool:
        return bool(self.basic_auth)
