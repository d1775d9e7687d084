"""The living Celery: what can be asked of it and done to it. A command never edits a record; its effect comes back
as events."""
