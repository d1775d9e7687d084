"""Queue statistics as reported by the broker. Values that a broker does not report are None, never 0.

stats       the statistics of a queue
adapters    the table of adapters and the functions that use it
redis, amqp, rabbitmq_management, sqs, kombu_virtual
            one adapter for each kind of broker
"""

from flower.cluster.queues.adapters import configured_queues, queue_lengths, queue_stats
from flower.cluster.queues.stats import QueueLength, QueueStats

__all__ = ["QueueLength", "QueueStats", "configured_queues", "queue_lengths", "queue_stats"]
