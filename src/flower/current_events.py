"""Which `Events` are meant when a function of the API is not told: those last started in this process."""

from typing import Protocol

from flower.errors import NotFound
from flower.store.protocols import Reader


class HasStore(Protocol):
    """As much of `flower.events.Events` as reading needs."""

    @property
    def store(self) -> Reader: ...


class _Current:
    events: HasStore | None = None


def set_current_events(events: HasStore | None) -> None:
    """Called by `Events.start` with itself."""
    _Current.events = events


def unset_current_events(events: HasStore) -> None:
    """Forget `events` if they are the ones; called by `Events.stop`."""
    if _Current.events is events:
        _Current.events = None


def get_current_events() -> HasStore:
    """Raises NotFound if nothing is running."""
    if _Current.events is None:
        hint = "start one, as in `flower.Events(app).start()`, or name one with events="
        raise NotFound("No Events are running in this process", hint=hint)
    return _Current.events
