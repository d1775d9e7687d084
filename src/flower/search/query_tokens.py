"""Parts of a query for display and editing: spans for syntax highlighting, and the terms that a facet adds.

These functions accept every text, including queries that `parse_search` rejects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from flower.search.field_parser import COMPARISONS, SPECIAL_QUALIFIERS
from flower.search.fields import find_field
from flower.search.lexer import QuotedWord, read_word

SpanKind: TypeAlias = Literal["field", "value", "text", "operator", "parenthesis"]

_OPERATORS = ("AND", "OR", "NOT")


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """The characters from `start` up to, but excluding, `end`. In `field` and `value` spans `field` is the name of the
    field, with aliases resolved. A `field` span includes the colon, the comparison operator and a leading `-`."""

    start: int
    end: int
    kind: SpanKind
    field: str = ""
    negated: bool = False


@dataclass(frozen=True, slots=True)
class FacetTerms:
    """`selected`: the values of the facet that the query selects, None for "has no value". `rest`: the query without
    these terms; another term can be appended to it."""

    selected: tuple[str | None, ...]
    rest: str


@dataclass(frozen=True, slots=True)
class _Part:
    spans: tuple[TokenSpan, ...]
    depth: int
    value: QuotedWord | None = None

    @property
    def start(self) -> int:
        return self.spans[0].start

    @property
    def end(self) -> int:
        return self.spans[-1].end

    def is_operator(self, text: str, *words: str) -> bool:
        return self.spans[0].kind == "operator" and text[self.start : self.end] in words


def find_token_spans(text: str) -> list[TokenSpan]:
    """The spans of a query, in order. Characters outside all spans are white space."""
    return [span for part in _parts(text) for span in part.spans]


def extract_facet_terms(text: str, field: str) -> FacetTerms:
    """The terms of one facet at the top level of the query. Nothing is selected if the top level is an OR."""
    parts = _parse_parts(text)
    if any(part.depth == 0 and part.is_operator(text, "OR") for part in parts):
        return FacetTerms((), f"({text.strip()})")
    term = next((part for index, part in enumerate(parts) if _is_facet_term(text, parts, index, field)), None)
    absent = next(
        (part for part in parts if part.depth == 0 and text[part.start : part.end].lower() == f"-has:{field}"), None
    )
    removed = sorted((part.start, part.end) for part in (term, absent) if part is not None)
    values = [part.text for part in term.value.split(",")] if term is not None and term.value is not None else []
    return FacetTerms((*values, *([None] if absent else [])), _remove_ranges(text, removed))


@lru_cache(maxsize=64)
def _parse_parts(text: str) -> tuple[_Part, ...]:
    """The parts of a query, parsed once for all facets of an answer."""
    return tuple(_parts(text))


def _is_facet_term(text: str, parts: Sequence[_Part], index: int, field: str) -> bool:
    """Whether this part is a term of the form that a facet adds: `state:A,B` or `name:=a,b`, not negated."""
    part = parts[index]
    if part.depth or part.value is None or part.spans[0].field != field or part.spans[0].negated:
        return False
    head = text[part.spans[0].start : part.spans[0].end]
    operator = "" if field == "state" else "="
    is_negated = index > 0 and parts[index - 1].is_operator(text, "NOT", "-")
    return head[head.index(":") + 1 :] == operator and not is_negated


def _remove_ranges(text: str, removed: list[tuple[int, int]]) -> str:
    kept, position = "", 0
    for start, end in removed:
        kept = kept.rstrip() + " " + text[position:start].strip() if kept else text[position:start].strip()
        position = end
    return f"{kept} {text[position:].strip()}".strip()


def _parts(text: str) -> list[_Part]:
    parts: list[_Part] = []
    depth = index = 0
    while index < len(text):
        character = text[index]
        if character.isspace():
            index += 1
        elif character in "()":
            depth = max(0, depth - 1) if character == ")" else depth
            parts.append(_Part((TokenSpan(index, index + 1, "parenthesis"),), depth))
            depth += character == "("
            index += 1
        else:
            part, index = _read_word_part(text, index, depth)
            parts.append(part)
    return parts


def _read_word_part(text: str, start: int, depth: int) -> tuple[_Part, int]:
    negated = text[start] == "-"
    word, end, _ = read_word(text, start + negated)
    if end == start + negated:  # "-" before a parenthesis, a space or the end
        return _Part((TokenSpan(start, start + 1, "operator"),), depth), start + 1
    if not negated and word.syntax in _OPERATORS:
        return _Part((TokenSpan(start, end, "operator"),), depth), end
    field = _find_field_name(word)
    if field is None:
        return _Part((TokenSpan(start, end, "text", "", negated),), depth), end
    colon = word.syntax.index(":")
    value = word.section(colon + 1)
    operator = next((symbol for symbol in (*COMPARISONS, "=") if value.syntax.startswith(symbol)), "")
    value = value.section(len(operator))
    head_end = word.positions[colon] + 1 + len(operator)
    spans = [TokenSpan(start, head_end, "field", field, negated)]
    if head_end < end:
        spans.append(TokenSpan(head_end, end, "value", field, negated))
    return _Part(tuple(spans), depth, value), end


def _find_field_name(word: QuotedWord) -> str | None:
    colon = word.syntax.find(":")
    head = word.section(0, max(colon, 0)).split(".")[0]
    if not head.text or head.syntax != head.text:
        return None
    field = find_field(head.text)
    if field is not None:
        return field.name
    special = head.text.casefold()
    return special if special in SPECIAL_QUALIFIERS else None
