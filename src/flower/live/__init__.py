"""Live change streams. The change log of the store is read once for all subscribers.

    hub             publish/subscribe: one loop shared by all subscriptions
    change_watch    waits until another process writes to the store
    subscription    one subscriber with a mailbox of one message
    changes         reads the change log and the tasks that changed
    filters         the tasks that a subscriber receives; the backend that the HTTP layer implements
    messages        builds the message for one subscriber
    status_tracker  versions of the state of workers, recorder and store
    sse             framing as `text/event-stream`
"""  # fmt: skip

from flower.live.filters import StatusText, StreamBackend, StreamFilter
from flower.live.hub import MAX_SUBSCRIBERS, MAX_SUBSCRIBERS_PER_CLIENT, Hub
from flower.live.subscription import Subscription, SubscriptionClosed

__all__ = [
    "MAX_SUBSCRIBERS",
    "MAX_SUBSCRIBERS_PER_CLIENT",
    "Hub",
    "StatusText",
    "StreamBackend",
    "StreamFilter",
    "Subscription",
    "SubscriptionClosed",
]
