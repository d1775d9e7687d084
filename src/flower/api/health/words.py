"""Numbers and stretches of time as people say them, and queries for what they speak of."""

from typing import Final

from flower.errors import InvalidRequest
from flower.search.syntax import MAX_QUERY_LENGTH
from flower.search.text import format_search
from flower.search.tree import Node

#: Characters of a name or message within a sentence: whoever sends tasks chooses how long theirs are.
_MAX_NAME_LENGTH: Final = 120


def describe_duration(seconds: float) -> str:
    """12 seconds, 5 minutes, 3 hours, 2 days."""
    for width, unit in ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "minute")):
        if seconds >= 2 * width:
            return pluralize(round(seconds / width), unit)
    return pluralize(max(0, round(seconds)), "second")


def pluralize(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def describe_rate(each_second: float) -> str:
    """So many a second, or a minute where they are few."""
    return f"{each_second:,.1f} a second" if each_second >= 1 else f"{each_second * 60:,.1f} a minute"


def describe_bytes(amount: int) -> str:
    return f"{amount / 2**30:,.1f} GB" if amount >= 2**30 else f"{amount / 2**20:,.0f} MB"


def truncate_name(text: str) -> str:
    return text if len(text) <= _MAX_NAME_LENGTH else f"{text[:_MAX_NAME_LENGTH]}…"


def build_query_text(node: Node) -> str:
    """ "" for what the language has no words for."""
    try:
        query = format_search(node)
    except InvalidRequest:
        return ""
    return query if len(query) <= MAX_QUERY_LENGTH else ""
