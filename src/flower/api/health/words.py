"""Numbers and stretches of time as people say them, and queries for what they speak of."""

from typing import Final

from flower.errors import Invalid
from flower.search.syntax import MAX_LENGTH
from flower.search.text import to_text
from flower.search.tree import Node

#: Characters of a name or message within a sentence: whoever sends tasks chooses how long theirs are.
_LONGEST: Final = 120


def lasting(seconds: float) -> str:
    """12 seconds, 5 minutes, 3 hours, 2 days."""
    for width, unit in ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "minute")):
        if seconds >= 2 * width:
            return counted(round(seconds / width), unit)
    return counted(max(0, round(seconds)), "second")


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def rate(each_second: float) -> str:
    """So many a second, or a minute where they are few."""
    return f"{each_second:,.1f} a second" if each_second >= 1 else f"{each_second * 60:,.1f} a minute"


def size(amount: int) -> str:
    return f"{amount / 2**30:,.1f} GB" if amount >= 2**30 else f"{amount / 2**20:,.0f} MB"


def short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def query_for(node: Node) -> str:
    """ "" for what the language has no words for."""
    try:
        query = to_text(node)
    except Invalid:
        return ""
    return query if len(query) <= MAX_LENGTH else ""
