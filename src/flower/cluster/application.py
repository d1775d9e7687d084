"""The Celery application that is meant. Rooms that must not speak Celery themselves take its type from here."""

from celery import Celery, current_app


def application(app: Celery | None) -> Celery:
    """The one that was named, else Celery's current one. That is a matter of the thread: ask in the caller's."""
    return app if app is not None else current_app._get_current_object()


__all__ = ["Celery", "application"]
