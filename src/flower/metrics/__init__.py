"""Prometheus metrics. All values are read from the store and the ledger, so a restart of the server resets nothing.

    definitions  the table of metrics: names, types, labels, help texts
    exposition   the text format
    series       counters and histograms by worker and task, and by task
    gauges       current values of workers, queues, recorder and store
    exporter     the complete response; lines that did not change are not formatted again
"""  # fmt: skip

from flower.metrics.definitions import METRIC_FAMILIES, MetricFamily
from flower.metrics.exporter import Metrics, MetricsSettings
from flower.metrics.exposition import CONTENT_TYPE

__all__ = ["CONTENT_TYPE", "METRIC_FAMILIES", "MetricFamily", "Metrics", "MetricsSettings"]
