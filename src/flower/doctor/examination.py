"""The input of the checks, and what earlier checks found for later ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flower.celery_app import LazyApp
from flower.config import Config
from flower.doctor.models import Skipped


@dataclass
class Examination:
    """`command_line`, `environment` and `folder` are the sources of the configuration, as the server reads them. The
    rest is set by checks; a check that requires what is not set is skipped."""

    command_line: Mapping[str, str]
    environment: Mapping[str, str]
    folder: Path
    load_app: LazyApp
    in_container: bool = False
    loaded_config: Config | None = None
    loaded_app: Any = None
    #: "redis", "amqp", …; "" until the broker was reached
    broker_kind: str = ""
    #: version of the broker's server, "" if unknown
    broker_version: str = ""
    #: workers that replied
    workers: frozenset[str] = field(default_factory=frozenset)
    #: by worker whose events were received: seconds by which its clock is ahead, and its version of Celery
    clock_offsets: Mapping[str, float] = field(default_factory=dict)
    worker_versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Config:
        """Raises Skipped if the configuration cannot be loaded."""
        if self.loaded_config is None:
            raise Skipped("the configuration cannot be loaded")
        return self.loaded_config

    @property
    def app(self) -> Any:
        """Raises Skipped if the application is not loaded."""
        if self.loaded_app is None:
            raise Skipped("the application cannot be loaded")
        return self.loaded_app

    def require_broker(self) -> None:
        """Raises Skipped if the broker is unreachable."""
        if not self.broker_kind:
            raise Skipped("the broker is unreachable" if self.loaded_app is not None else "no application")
