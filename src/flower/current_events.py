"""The default `Events` of functions that are called without one: the instance last started in this process."""

from typing import Protocol

from flower.errors import NotFound
from flower.store.protocols import Reader


class HasStore(Protocol):
    """The part of `flower.events.Events` that reading requires."""

    @property
    def store(self) -> Reader: ...


class _Current:
    events: HasStore | None = None


def set_current_events(events: HasStore | None) -> None:
    """Called by `Events.start` with itself."""
    _Current.events = events


def unset_current_events(events: HasStore) -> None:
    """Reset the default if it is `events`; called by `Events.stop`."""
    if _Current.events is events:
        _Current.events = None


def get_current_events() -> HasStore:
    """Raises NotFound if no Events are running."""
    if _Current.events is None:
        hint = "start one with `flower.Events(app).start()`, or pass events="
        raise NotFound("No Events object is running in this process", hint=hint)
    return _Current.events
