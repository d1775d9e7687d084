"""Warnings about a query: parts that are valid, but probably not what the user meant, with a correction.

Flower searches any `x:y` whose `x` is not a field as text, so these parts cannot be errors."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, get_args

from flower.records import FINAL_STATES, PENDING, RECEIVED, RETRY, STARTED, LostReason
from flower.search.field_parser import FLOWER_FIELDS, SPECIAL_QUALIFIERS
from flower.search.fields import ALIASES, FIELDS, find_field
from flower.search.lexer import QuotedWord
from flower.search.parser import parse_search, tokenize_query
from flower.similar_names import closest_match

_SUBJECT = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)*", re.ASCII)
#: A comparison without the colon: `runtime>2`, `state=FAILURE`.
_MISSING_COLON = re.compile(r"([A-Za-z_][\w.]*)([<>]=?|==?)([^<>=].*)", re.ASCII)
_FIELD_NAMES: Final = (*FIELDS, *ALIASES, *SPECIAL_QUALIFIERS)

#: Celery's states, and the custom state that its documentation uses.
_STATES: Final = (PENDING, RECEIVED, STARTED, RETRY, *sorted(FINAL_STATES), "PROGRESS")
#: Words that users write for a state.
_STATE_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("ok", "done", "succeeded", "completed", "complete", "finished"), "SUCCESS"),
    **dict.fromkeys(("failed", "error", "errored", "failing"), "FAILURE"),
    **dict.fromkeys(("running", "active", "executing"), "STARTED"),
    **dict.fromkeys(("waiting", "queued", "sent"), "PENDING"),
    **dict.fromkeys(("prefetched", "reserved"), "RECEIVED"),
    **dict.fromkeys(("retrying", "retried"), "RETRY"),
    **dict.fromkeys(("cancelled", "canceled", "terminated", "killed"), "REVOKED"),
}
#: Fields with a fixed set of values.
_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "source": ("worker", "result_backend", "broker"),
    "lost": get_args(LostReason),
}
_WILDCARDS: Final = frozenset("*?")


@dataclass(frozen=True, slots=True)
class QueryWarning:
    """A part of a query that is valid, but probably not what the user meant. `correction` replaces the word at
    `position`; "" if none is known."""

    position: int
    message: str
    correction: str = ""


def find_query_warnings(query: str | None) -> list[QueryWarning]:
    """The warnings about a valid query, in the order of its words. Raises SearchError."""
    parse_search(query)
    words = (token.word for token in tokenize_query(query) if token.word is not None and token.kind == "term")
    return [warning for word in words for warning in _word_warnings(word)]


def _word_warnings(word: QuotedWord) -> Iterator[QueryWarning]:
    if word.syntax in ("and", "or", "not"):
        operator = word.syntax.upper()
        yield QueryWarning(
            word.position, f"'{word.syntax}' is searched as text; the operator is {operator}", correction=operator
        )
        return
    colon = word.syntax.find(":")
    subject = word.text[: max(colon, 0)]
    if colon < 0 and word.syntax == word.text:
        yield from _missing_colon(word)
    if not _SUBJECT.fullmatch(word.syntax[: max(colon, 0)]) or subject.casefold() in SPECIAL_QUALIFIERS:
        return
    head, _, keys = subject.partition(".")
    field = find_field(head)
    value = word.syntax[colon + 1 :]
    if field is None:
        yield from _unknown_field(word, subject, value)
    elif keys and not field.has_keys:
        yield QueryWarning(word.position, f"'{field.name}' has no keys: '{subject}:' is searched as text")
    elif not keys and field.name in FLOWER_FIELDS and value.startswith(("<", ">")):
        yield QueryWarning(
            word.position + colon + 1, f"'{field.name}' does not support comparison: the character is searched as text"
        )
    elif not keys and word.syntax == word.text:
        yield from _unknown_values(word, subject, field.name, value)


def _missing_colon(word: QuotedWord) -> Iterator[QueryWarning]:
    match = _MISSING_COLON.fullmatch(word.text)
    field = find_field(match[1].partition(".")[0]) if match else None
    if match is None or field is None:
        return
    correction = f"{match[1]}:{'' if match[2].startswith('=') else match[2]}{match[3]}"
    yield QueryWarning(
        word.position, f"'{word.text}' is searched as text; did you mean {correction}?", correction=correction
    )


def _unknown_field(word: QuotedWord, subject: str, value: str) -> Iterator[QueryWarning]:
    if value.startswith("//"):
        return
    similar = closest_match(subject.partition(".")[0], _FIELD_NAMES)
    suggestion = f"; did you mean {similar}:?" if similar else ""
    correction = f"{similar}:{value}" if similar and "." not in subject else ""
    yield QueryWarning(word.position, f"unknown field '{subject}': searched as text{suggestion}", correction=correction)


def _unknown_values(word: QuotedWord, subject: str, name: str, value: str) -> Iterator[QueryWarning]:
    """Values that a field with a fixed set of values does not have. A pattern and a value of another kind are not
    judged."""
    if name != "state" and name not in _VALUES:
        return
    parts = value.split(",")
    corrected = [_correct_value(name, part.removeprefix("=")) for part in parts]
    for part, correction in zip(parts, corrected, strict=True):
        if correction is None:
            continue
        if correction:
            whole = ",".join(
                (each or old) if each is not None else old for old, each in zip(parts, corrected, strict=True)
            )
            hint = f"did you mean {correction}?"
            yield QueryWarning(
                word.position, f"unknown {_describe(name)} '{part}': {hint}", correction=f"{subject}:{whole}"
            )
        else:
            known = ", ".join(_STATES[:-1] if name == "state" else _VALUES[name])
            custom = "; custom states are found as well" if name == "state" else ""
            yield QueryWarning(word.position, f"unknown {_describe(name)} '{part}': valid: {known}{custom}")


def _describe(name: str) -> str:
    return {"state": "state", "source": "source", "lost": "reason"}[name]


def _correct_value(name: str, value: str) -> str | None:
    """None if the value is known, the most similar known one, or "" if none is similar."""
    known = _STATES if name == "state" else _VALUES[name]
    folded = value.casefold()
    if not value or _WILDCARDS & {*value} or folded in (each.casefold() for each in known):
        return None
    if name == "state" and folded in _STATE_WORDS:
        return _STATE_WORDS[folded]
    by_folded = {each.casefold(): each for each in known}
    similar = closest_match(folded, by_folded)
    return by_folded[similar] if similar else ""
