"""Bellflower: watch and steer Celery, and remember."""
