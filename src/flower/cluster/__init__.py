"""The living Celery: everything that asks or commands it."""
