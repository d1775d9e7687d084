"""What routes do that need Celery; imported when the first of them is asked for."""
