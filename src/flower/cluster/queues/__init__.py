"""How long the queues are, asked of the broker itself. What a broker does not tell is unknown (None), never 0.

- `stats`: `QueueStats`
- `adapters`: which adapter serves which broker
- `redis`, `amqp`, `rabbitmq_management`, `sqs`, `kombu_virtual`: one adapter for each kind of broker
"""

from flower.cluster.queues.adapters import configured_queues, queue_lengths, queue_stats
from flower.cluster.queues.stats import QueueLength, QueueStats

__all__ = ["QueueLength", "QueueStats", "configured_queues", "queue_lengths", "queue_stats"]
