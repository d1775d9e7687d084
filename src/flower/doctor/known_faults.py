"""Versions with known faults, each with its source. To add a fault: a public issue, release note or change that states
the versions, and a row in the table."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Version: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Software:
    """Versions of packages, and of the broker's server; None if unknown or not installed."""

    celery: Version | None = None
    kombu: Version | None = None
    redis_py: Version | None = None
    redis: Version | None = None
    rabbitmq: Version | None = None
    python: Version = ()
    #: settings of the application
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KnownFault:
    """`applies`: whether the software has the fault. `source`: where it is described."""

    applies: Callable[[Software], bool]
    fault: str
    action: str
    source: str


def parse_version(text: str | None) -> Version | None:
    """The numbers of a version: `5.6.0rc1` is (5, 6, 0). None if there are none."""
    match = re.match(r"\d+(\.\d+)*", text or "")
    return tuple(map(int, match[0].split("."))) if match else None


def _is_between(version: Version | None, first: Version, end: Version) -> bool:
    """Whether first <= version < end. An unknown version is not."""
    return version is not None and first <= version < end


KNOWN_FAULTS: Final = (
    KnownFault(
        lambda it: it.redis is not None and _is_between(it.kombu, (5,), (5, 4, 0)),
        "kombu before 5.4.0: after a lost connection to Redis, a worker may stay connected and run no more tasks",
        "Update kombu to 5.4.0 or later on the workers.",
        "https://github.com/celery/celery/issues/8030, fixed by https://github.com/celery/kombu/pull/2007",
    ),
    KnownFault(
        lambda it: _is_between(it.kombu, (5, 6, 0), (5, 6, 2)) and _is_between(it.redis_py, (0,), (5, 3, 0)),
        "kombu 5.6.0 and 5.6.1 cannot connect with redis-py before 5.3.0: unexpected argument credential_provider",
        "Update redis-py to 5.3.0 or later, or kombu to 5.6.2.",
        "https://github.com/celery/kombu/issues/2419, fixed by https://github.com/celery/kombu/pull/2423",
    ),
    KnownFault(
        lambda it: _is_between(it.celery, (5, 6, 3), (5, 6, 4)) and _is_between(it.redis_py, (0,), (5, 3, 0)),
        "Celery 5.6.3 does not work with redis-py before 5.3.0",
        "Update redis-py to 5.3.0 or later.",
        "https://github.com/celery/kombu/pull/2512",
    ),
    KnownFault(
        lambda it: it.redis_py == (4, 5, 5),
        "redis-py 4.5.5 has severe faults with Celery, which excludes it",
        "Update redis-py.",
        "https://github.com/celery/celery/pull/8317",
    ),
    KnownFault(
        lambda it: _is_between(it.celery, (5,), (5, 6, 0)) and it.python >= (3, 11),
        "Celery before 5.6.0 loses memory with each exception of a task, most of all with Python 3.11 or later",
        "Update Celery to 5.6.0 or later on the workers, or set worker_max_tasks_per_child.",
        "https://docs.celeryq.dev/en/stable/history/whatsnew-5.6.html",
    ),
    KnownFault(
        lambda it: it.rabbitmq is not None
        and it.rabbitmq >= (4, 3)
        and not (it.settings.get("control_queue_exclusive") or it.settings.get("control_queue_durable")),
        "RabbitMQ 4.3 rejects the control queues of workers, which are neither durable nor exclusive",
        "Set control_queue_exclusive = True and event_queue_exclusive = True (Celery 5.6), or update Celery.",
        "https://github.com/celery/celery/pull/10290",
    ),
)  # fmt: skip
