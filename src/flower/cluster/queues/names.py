"""Which queues there are, as far as the application says."""

from celery import Celery


def configured_queues(app: Celery) -> set[str]:
    return {str(app.conf.task_default_queue), *(str(queue.name) for queue in app.conf.task_queues or ())}
