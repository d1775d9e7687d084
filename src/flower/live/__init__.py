"""What changes in the store, told to whoever listens: the log of changes is read once, however many they are."""

from flower.live.hub import MOST, Hub
from flower.live.interest import Interest
from flower.live.source import Said, Source
from flower.live.subscription import Ended, Subscription

__all__ = ["MOST", "Ended", "Hub", "Interest", "Said", "Source", "Subscription"]
