"""The lines that the server logs when it starts: version, store, and whether actions are allowed."""

import logging
from pathlib import Path
from typing import Any, Final

from flower import __version__
from flower.config import Config
from flower.errors import FlowerError
from flower.http.access_control import unauthenticated_api_enabled
from flower.redaction import mask_url
from flower.store.protocols import Reader

log = logging.getLogger(__name__)

#: Maximum number of task names in the log.
_MAX_NAMES: Final = 50
#: Prefix of the names of the tasks that Celery itself registers.
_CELERY_TASKS: Final = "celery."


def log_version() -> None:
    log.info("Bellflower %s", __version__)


def log_store(config: Config, store: Reader) -> None:
    """Log the data directory and the number of tasks in it."""
    log.info("Store: %s, %s", Path(config.db).absolute(), _describe_size(store))


def log_permission_to_act(config: Config, *, has_login: bool) -> None:
    """Log whether users can act on tasks and workers, and what to do if not."""
    if config.read_only:
        log.info("Actions are disabled: read_only is set")
    elif has_login:
        log.info("Actions are enabled for signed-in users, according to their roles")
    elif unauthenticated_api_enabled():
        log.info("Actions are enabled for all users: FLOWER_UNAUTHENTICATED_API is set")
    else:
        log.info(
            "Actions are disabled: no login is configured. Set --basic-auth=USER:PASSWORD, or "
            "FLOWER_UNAUTHENTICATED_API=true to allow them without a login"
        )


def log_broker_and_tasks(app: Any) -> None:
    """Log the broker without its password, and the tasks of the application without those of Celery itself."""
    log.info("Broker: %s", mask_url(app.conf.broker_read_url))
    names = sorted(name for name in app.tasks if not name.startswith(_CELERY_TASKS))
    more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    log.info("Registered tasks: %s%s", ", ".join(names[:_MAX_NAMES]) or "none", more)


def _describe_size(store: Reader) -> str:
    try:
        count = store.status().tasks
    except FlowerError as error:  # the pages report it, too
        return error.message
    return f"{count:,} task{'' if count == 1 else 's'}"
