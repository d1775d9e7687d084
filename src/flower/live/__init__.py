"""What changes in the store, told to whoever listens: the log of changes is read once, however many they are."""

from flower.live.filters import StatusText, StreamBackend, StreamFilter
from flower.live.hub import MAX_SUBSCRIBERS, Hub
from flower.live.subscription import Subscription, SubscriptionClosed

__all__ = [
    "MAX_SUBSCRIBERS",
    "Hub",
    "StatusText",
    "StreamBackend",
    "StreamFilter",
    "Subscription",
    "SubscriptionClosed",
]
