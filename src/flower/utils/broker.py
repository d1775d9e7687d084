"""The import path of the class that reads queue lengths from a broker URL."""

from flower.cluster.queues.broker_client import Broker

__all__ = ["Broker"]
