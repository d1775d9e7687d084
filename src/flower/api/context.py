"""What a web server is handed to work with: the parts and the settings. Nothing here is made by a request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flower.access.authenticator import Authenticator
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
    #: knows who is asking; this one needs no login
    access: Authenticator = field(default_factory=Authenticator)
    #: address of /login as the OAuth provider knows it; "" = as the browser knows it
    oauth2_redirect_uri: str = ""
    #: pages of errors tell what went wrong inside
    debug: bool = False
    #: slashes at its ends make no difference
    url_prefix: str = ""

    @property
    def root(self) -> str:
        """What comes before every path of ours."""
        return f"/{self.url_prefix.strip('/')}" if self.url_prefix.strip("/") else ""

    @property
    def authenticated(self) -> bool:
        return self.access.needed
