"""What Prometheus is told. Reads the store and the ledger only, so it knows nothing that a restart would take away.

    families    the table of metrics: names, labels, sentences
    text        how they are written
    pairs, types    what the recorder counted, by worker and task, and by task
    flight, workers, queues, recording    how things are now
    metrics     all of it, and what has not changed since the last time is not written again
"""  # fmt: skip

from flower.metrics.definitions import METRIC_FAMILIES, MetricFamily
from flower.metrics.exporter import CONTENT_TYPE, Metrics, MetricsSettings

__all__ = ["CONTENT_TYPE", "METRIC_FAMILIES", "MetricFamily", "Metrics", "MetricsSettings"]
