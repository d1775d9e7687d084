"""The module of Flower that has the command `celery flower`. If Flower was installed before, its entry point refers to
this name and must not start a mixture of both packages."""

from bellflower_entry import flower

__all__ = ["flower"]
