"""The prefilter: decides on a text, or on many texts that are joined by line ends, that it contains no secret.

There are two stages of RE2 expressions. The first one contains only names and the beginnings of patterns, because the
time for a text without a match grows with the number of states of the expression. The second one adds the text that
must precede or follow. A text may contain JSON or the repr of a text, so each expression accepts escaped quotes and
line ends. Where an expression requires the beginning or the end of a text, it also accepts a line end.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import re2

from flower.redaction.names import name_to_regex
from flower.redaction.structures import LOGIN_NAMES, NAME_KEYS

_SPACE = r"(?:\s|\\+[nrt])*"
_QUOTE = r"(?:\\*['\"])?"
#: Around a name that has no wildcard there.
_BEFORE = r"(?:^|[^\w]|\\[nrt])"
_AFTER = r"(?:[^\w]|$)"
#: The rest of a name that may have a wildcard at its end.
_REST = r"[^'\":=,;&<>(){}|]*"
_MAX_MEMORY = 64 << 20


class PrefilterStages(NamedTuple):
    """Expressions that match every text with a secret of one rule; `first` matches all that `second` matches. Without
    `second` it is used in both stages."""

    first: str
    second: str = ""


class Prefilter:
    """Without expressions no text may contain a secret."""

    def __init__(self, stages: Iterable[PrefilterStages]) -> None:
        stages = tuple(stages)
        self._first = _compile([each.first for each in stages])
        self._second = _compile([each.second or each.first for each in stages])

    def matches(self, text: str) -> bool:
        """False only if the text contains no secret."""
        return self._first(text) is not None and self._second(text) is not None


def _compile(expressions: list[str]) -> Any:
    if not expressions:
        return lambda text: None
    re2.set_fallback_notification(re2.FALLBACK_EXCEPTION)
    expression = "(?i)" + "|".join(expressions)
    return re2.compile(expression, max_mem=_MAX_MEMORY).search


def build_name_stages(names: list[str]) -> list[PrefilterStages]:
    """The stages for all names together."""
    if not names:
        return []
    anywhere, bounded = _split_names(names)
    name = f"(?:{'|'.join(name_to_regex(each.strip('*')) for each in [*anywhere, *bounded])})"
    named = f"{name}{_REST}"
    second = (
        # 'name': …, name=…, user[name]=…, name%3D…
        rf"{named}{_QUOTE}(?:\]|%5D)?{_SPACE}(?:[:=]|%3D)",
        # ('name', …), [b'name', …]
        rf"[(\[]{_SPACE}b?{_QUOTE}[^'\"]*{name}[^'\"]*['\"]{_SPACE},",
        # --name …, '--name', …
        rf"-[\w.-]*{name}[\w.-]*(?:\s|\\+[nrt]|\\*['\"]{_SPACE},)",
        # <name>…</name>
        rf"<[\w.:-]*{name}[^<>]*>",
        # 'name': 'password', …
        rf"(?:{'|'.join(sorted(NAME_KEYS))}){_QUOTE}{_SPACE}[:=]{_SPACE}{_QUOTE}[^'\"]*{name}",
    )
    login = rf"(?:{'|'.join(sorted(LOGIN_NAMES))}){_QUOTE}{_SPACE}[:=]{_SPACE}[(\[]|auth\("
    return [
        PrefilterStages(_names_alone(anywhere, bounded), "|".join(second)),
        PrefilterStages(login),
    ]


def _split_names(names: list[str]) -> tuple[list[str], list[str]]:
    """Names that may follow any text, and those that begin a word; without those that contain another one."""
    anywhere = [each.strip("*") for each in names if each.startswith("*")]
    anywhere = [each for each in anywhere if not any(other != each and other in each for other in anywhere)]
    bounded = [each for each in names if not each.startswith("*") and not any(part in each for part in anywhere)]
    return anywhere, bounded


def _names_alone(anywhere: list[str], bounded: list[str]) -> str:
    with_rest = [name_to_regex(each[:-1]) for each in bounded if each.endswith("*")]
    whole = [name_to_regex(each) for each in bounded if not each.endswith("*")]
    alternatives = list(map(name_to_regex, anywhere))
    if with_rest:
        alternatives.append(f"{_BEFORE}(?:{'|'.join(with_rest)})")
    if whole:
        alternatives.append(f"{_BEFORE}(?:{'|'.join(whole)}){_AFTER}")
    return "|".join(alternatives)
