"""What changes in the store, told to whoever listens: the log of changes is read once, however many they are."""

from flower.live.hub import MAX_SUBSCRIBERS, Hub
from flower.live.interest import StreamFilter
from flower.live.source import StatusText, StreamBackend
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
