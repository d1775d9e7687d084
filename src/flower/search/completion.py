"""Completion as far as the language goes: what is being typed, and the fields, signs and words that fit. Values and
keys that occur come from the store."""

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
    """What is being typed. A completion takes the place of `text[start:end]`.

    field     a word, which may become a field's name: `typed`
    operator  a field is named and a colon typed, and signs are as likely to follow as values
    value     a value of `field` (which may be "is" or "has"), of what is under `keys` if there are any
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
    """`text` is what is put in; `form` shows it to people where that says more."""

    text: str
    description: str
    example: str = ""
    label: str = ""


def parse_completion_request(text: str, position: int) -> CompletionRequest:
    """`position` counts characters of the text as it stands, from 0; what comes after it does not decide, but is
    replaced as far as it belongs to the same word."""
    position = max(0, min(position, len(text)))
    start = _word_start(text, position)
    _, end, opened = read_word(text, start)
    if opened is not None:  # a quote that is still open reaches to the end
        end = position
    typed, _, open_now = read_word(text[:position], start)
    end = max(end, position)
    return _classify_word(typed, end, quoting=open_now is not None)


def suggest_completions(request: CompletionRequest) -> list[GrammarCompletion]:
    """What the language itself can offer."""
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


def field_completions(typed: str) -> list[GrammarCompletion]:
    """Fields whose name begins with what was typed, then those that have it anywhere."""
    return _suggest_fields(typed, ":")


def suggest_operators(request: CompletionRequest) -> list[GrammarCompletion]:
    """The signs that may follow the field's name."""
    field = FIELDS.get(request.field)
    if field is None:
        return []
    signs = operators_for(field, under_key=bool(request.keys))
    return [
        GrammarCompletion(sign.symbol.removeprefix(":"), sign.description, sign.example, sign.syntax) for sign in signs
    ]


def _word_start(text: str, position: int) -> int:
    """Where the word begins that the position is in or at the end of."""
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
    for sign in (*COMPARISONS, "="):
        if part.syntax.startswith(sign):
            part = part.section(len(sign))
            break
    if is_ordered(field) and ".." in part.syntax:
        part = part.section(part.syntax.rindex("..") + 2)
    return _make_request("value", field.name, keys, part, end)


def _make_request(
    kind: CompletionKind, field: str, keys: tuple[str, ...], part: QuotedWord, end: int
) -> CompletionRequest:
    return CompletionRequest(kind, field, keys, part.text, part.position, end)


def _matches_prefix(name: str, what: CompletionRequest) -> bool:
    return name.startswith(what.prefix.casefold())


def _suggest_fields(typed: str, sign: str) -> list[GrammarCompletion]:
    folded = typed.casefold()
    found = [field for field in FIELDS.values() if folded in field.name]
    found.sort(key=lambda field: not field.name.startswith(folded))
    return [GrammarCompletion(f"{field.name}{sign}", field.description, field.example) for field in found]


def _suggest_special_qualifiers(typed: str) -> list[GrammarCompletion]:
    offers = (
        GrammarCompletion("is:", "a condition: failed, running, slow …", "is:failed"),
        GrammarCompletion("has:", "there is a value in a field", "has:traceback"),
    )
    return [offer for offer in offers if offer.text.startswith(typed.casefold())]


def _suggest_time_words(what: CompletionRequest) -> list[GrammarCompletion]:
    """Words of the language that are values."""
    field = FIELDS.get(what.field)
    if field is None or field.kind != "time":
        return []
    found = [*(GrammarCompletion(day, "the whole day", f"{field.name}:{day}") for day in NAMED_DAYS),
             GrammarCompletion("-1h", "an hour ago; units are s, m, h, d, w", f"{field.name}:>-1h"),
             GrammarCompletion("now", "the present moment", f"{field.name}:-1h..now")]  # fmt: skip
    return [word for word in found if _matches_prefix(word.text, what)]
