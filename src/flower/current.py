"""Which `Events` are meant when a function of the API is not told: those last started in this process."""

from typing import Protocol

from flower.errors import NotFound
from flower.store.port import Reader


class Watching(Protocol):
    """As much of `flower.events.Events` as reading needs."""

    @property
    def store(self) -> Reader: ...


class _Last:
    events: Watching | None = None


def set_current(events: Watching | None) -> None:
    """Called by `Events.start` with itself."""
    _Last.events = events


def unset_current(events: Watching) -> None:
    """Forget `events` if they are the ones; called by `Events.stop`."""
    if _Last.events is events:
        _Last.events = None


def current() -> Watching:
    """Raises NotFound if nothing is running."""
    if _Last.events is None:
        hint = "start one, as in `flower.Events(app).start()`, or name one with events="
        raise NotFound("No Events are running in this process", hint=hint)
    return _Last.events
