"""How long the queues are, asked of the broker itself. What a broker does not tell is unknown (None), never 0.

- `figures`: what is told of a queue
- `asking`: which adapter asks, and who calls it
- `redis`, `amqp`, `management`, `sqs`, `virtual`: one adapter for each kind of broker
- `names`: which queues there are
"""

from flower.cluster.queues.asking import queue_lengths, queue_stats
from flower.cluster.queues.figures import QueueLength, QueueStats
from flower.cluster.queues.names import configured_queues

__all__ = ["QueueLength", "QueueStats", "configured_queues", "queue_lengths", "queue_stats"]
