"""Completion by the grammar of the search language: what is being typed, and the fields, operators and words that can
follow. Values and keys come from the store (`flower.api.completion`)."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from flower.search.conditions import CONDITIONS
from flower.search.field_parser import COMPARISONS, SPECIAL_QUALIFIERS
from flower.search.fields import FIELDS, Field, find_field, is_ordered
from flower.search.lexer import QuotedWord, read_word
from flower.search.operators import operators_for
from flower.search.time_parser import NAMED_DAYS

CompletionKind: TypeAlias = Literal["field", "operator", "value", "key", "none"]


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What is being typed. A completion replaces `text[start:end]`.

    field     a word that can become the name of a field: `prefix`
    operator  after the colon of a field, where operators are as likely as values
    value     a value of `field` (also "is" or "has"), or of the values under `keys`
    key       a key of `field`, under `keys`
    none      nothing that can be completed, such as a quoted phrase
    """

    kind: CompletionKind
    field: str
    keys: tuple[str, ...]
    prefix: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class GrammarCompletion:
    """A completion. `text` is inserted; `label` is shown instead of it if set."""

    text: str
    description: str
    example: str = ""
    label: str = ""


def parse_completion_request(text: str, position: int) -> CompletionRequest:
    """`position` is an index in the untrimmed text. The text after it has no effect, but the rest of the same word is
    replaced."""
    position = max(0, min(position, len(text)))
    start = _word_start(text, position)
    _, end, quote_start = read_word(text, start)
    if quote_start is not None:  # an unclosed quote extends to the end
        end = position
    typed_word, _, open_quote = read_word(text[:position], start)
    end = max(end, position)
    return _classify_word(typed_word, end, quoting=open_quote is not None)


def suggest_completions(request: CompletionRequest) -> list[GrammarCompletion]:
    """The completions that the grammar offers."""
    match request.kind:
        case "field":
            return _suggest_fields(request.prefix, ":") + _suggest_special_qualifiers(request.prefix)
        case "operator":
            return suggest_operators(request) + _suggest_time_words(request)
        case "value" if request.field == "is":
            return [
                GrammarCompletion(c.name, c.description, f"is:{c.name}")
                for c in CONDITIONS.values()
                if _matches_prefix(c.name, request)
            ]
        case "value" if request.field == "has":
            return _suggest_fields(request.prefix, "")
        case "value":
            return (suggest_operators(request) if not request.prefix else []) + _suggest_time_words(request)
    return []


def suggest_operators(request: CompletionRequest) -> list[GrammarCompletion]:
    """The operators that can follow the name of the field."""
    field = FIELDS.get(request.field)
    if field is None:
        return []
    operators = operators_for(field, under_key=bool(request.keys))
    return [
        GrammarCompletion(operator.symbol.removeprefix(":"), operator.description, operator.example, operator.syntax)
        for operator in operators
    ]


def _word_start(text: str, position: int) -> int:
    """The start of the word that contains or ends at `position`."""
    index = 0
    while index < position:
        if text[index].isspace() or text[index] in "()-":
            index += 1
            continue
        _, end, _ = read_word(text, index)
        if end >= position:
            return index
        index = end
    return position


def _classify_word(word: QuotedWord, end: int, *, quoting: bool) -> CompletionRequest:
    colon = word.syntax.find(":")
    subject = word.section(0, colon if colon >= 0 else None)
    head, *keys = subject.split(".")
    named = head.syntax == head.text
    field = find_field(head.text) if named else None
    if colon < 0:
        if keys and field is not None and field.has_keys:
            return _make_request("key", field.name, tuple(key.text for key in keys[:-1]), keys[-1], end)
        free = named and not quoting and len(head.text) == len(word.text)
        return CompletionRequest("field" if free else "none", "", (), word.text, word.position, end)
    value = word.section(colon + 1)
    special = subject.text.casefold()
    if field is None and special in SPECIAL_QUALIFIERS and subject.syntax == subject.text:
        return _classify_special_value(special, value, end)
    if field is None or (keys and not field.has_keys):
        return CompletionRequest("none", "", (), word.text, word.position, end)
    return _classify_value(field, tuple(key.text for key in keys), value, end)


def _classify_special_value(special: str, value: QuotedWord, end: int) -> CompletionRequest:
    part = value.split(",")[-1]
    head, *keys = part.split(".")
    field = find_field(head.text)
    if special == "has" and keys and field is not None and field.has_keys:
        return _make_request("key", field.name, tuple(key.text for key in keys[:-1]), keys[-1], end)
    return _make_request("value", special, (), part, end)


def _classify_value(field: Field, keys: tuple[str, ...], value: QuotedWord, end: int) -> CompletionRequest:
    if not value.text:
        kind: CompletionKind = (
            "operator" if is_ordered(field) or (field.kind in ("text", "id") and not keys) else "value"
        )
        return _make_request(kind, field.name, keys, value, end)
    part = value if field.kind == "text" and not keys else value.split(",")[-1]
    for operator in (*COMPARISONS, "="):
        if part.syntax.startswith(operator):
            part = part.section(len(operator))
            break
    if is_ordered(field) and ".." in part.syntax:
        part = part.section(part.syntax.rindex("..") + 2)
    return _make_request("value", field.name, keys, part, end)


def _make_request(
    kind: CompletionKind, field: str, keys: tuple[str, ...], part: QuotedWord, end: int
) -> CompletionRequest:
    return CompletionRequest(kind, field, keys, part.text, part.position, end)


def _matches_prefix(name: str, request: CompletionRequest) -> bool:
    return name.startswith(request.prefix.casefold())


def _suggest_fields(prefix: str, suffix: str) -> list[GrammarCompletion]:
    folded = prefix.casefold()
    fields = [field for field in FIELDS.values() if folded in field.name]
    fields.sort(key=lambda field: not field.name.startswith(folded))
    return [GrammarCompletion(f"{field.name}{suffix}", field.description, field.example) for field in fields]


def _suggest_special_qualifiers(prefix: str) -> list[GrammarCompletion]:
    offers = (
        GrammarCompletion("is:", "condition: failed, running, slow …", "is:failed"),
        GrammarCompletion("has:", "field has a value", "has:traceback"),
    )
    return [offer for offer in offers if offer.text.startswith(prefix.casefold())]


def _suggest_time_words(request: CompletionRequest) -> list[GrammarCompletion]:
    """Words of the language for times."""
    field = FIELDS.get(request.field)
    if field is None or field.kind != "time":
        return []
    past_days = [day for day, offset in NAMED_DAYS.items() if offset <= 0]
    words = [*(GrammarCompletion(day, "whole day", f"{field.name}:{day}") for day in past_days),
             GrammarCompletion("-1h", "one hour ago; units are s, m, h, d, w", f"{field.name}:>-1h"),
             GrammarCompletion("now", "current time", f"{field.name}:-1h..now")]  # fmt: skip
    return [word for word in words if _matches_prefix(word.text, request)]
