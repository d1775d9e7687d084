"""The documented import path of the functions that format values, for `format_task`."""

from flower.api.humanize import format_count, format_duration, format_time, humanize

__all__ = ["format_count", "format_duration", "format_time", "humanize"]
