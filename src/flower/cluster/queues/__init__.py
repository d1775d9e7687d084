"""Queue statistics as reported by the broker. Values that a broker does not report are None, never 0.

stats                the statistics of a queue
broker_client        queue lengths by the URL of a broker, for other programs
adapters             the table of adapters and the functions that use it
redis                adapter for Redis
amqp                 adapter for AMQP without the management API
rabbitmq_management  adapter for the management API of RabbitMQ
sqs                  adapter for Amazon SQS
kombu_virtual        adapter for brokers on which kombu emulates queues
"""

from flower.cluster.queues.adapters import configured_queues, queue_lengths, queue_stats
from flower.cluster.queues.stats import QueueLength, QueueStats

__all__ = ["QueueLength", "QueueStats", "configured_queues", "queue_lengths", "queue_stats"]
