"""Amazon SQS, through kombu's client. The counts are approximate, as SQS documents."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kombu.connection import Connection

from flower.cluster.queues.stats import QueueStats

_READY: Final = "ApproximateNumberOfMessages"
_IN_FLIGHT: Final = "ApproximateNumberOfMessagesNotVisible"


def sqs_queue_stats(connection: Connection, names: Sequence[str]) -> list[QueueStats]:
    """Queues that SQS does not know are left out."""
    channel: Any = connection.default_channel
    return [_fetch_queue_stats(channel, name) for name in names if _queue_exists(channel, name)]


def _fetch_queue_stats(channel: Any, name: str) -> QueueStats:
    url = channel._resolve_queue_url(name)
    response = channel.sqs(queue=channel.canonical_queue_name(name)).get_queue_attributes(
        QueueUrl=url, AttributeNames=[_READY, _IN_FLIGHT]
    )
    attributes = response.get("Attributes", {})
    return QueueStats(name, ready=_number(attributes, _READY), unacknowledged=_number(attributes, _IN_FLIGHT))


def _queue_exists(channel: Any, name: str) -> bool:
    """Kombu's lookup of the URL of a missing queue would create the queue or raise."""
    from kombu.transport.SQS.exceptions import UndefinedQueueException  # noqa: PLC0415

    try:
        channel._resolve_queue_url(name)
    except UndefinedQueueException:
        return False
    return True


def _number(attributes: Mapping[str, Any], name: str) -> int | None:
    value = attributes.get(name)
    return None if value is None else int(value)
