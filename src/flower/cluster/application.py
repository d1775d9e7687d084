"""Which Celery application is meant."""

from celery import Celery, current_app


def app_or_current(app: Celery | None) -> Celery:
    """`app`, else Celery's current one, which is a matter of the thread: ask in the caller's."""
    return app if app is not None else current_app._get_current_object()
