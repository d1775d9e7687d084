"""Completion as far as the language goes: what is being typed, and the fields, signs and words that fit. Values and
keys that occur come from the store."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from flower.search.conditions import CONDITIONS
from flower.search.fields import FIELDS, Field, field_named, ordered
from flower.search.operators import signs_of
from flower.search.qualified import COMPARISONS, SPECIAL
from flower.search.times import DAYS
from flower.search.written import Written, read_word

What: TypeAlias = Literal["field", "operator", "value", "key", "none"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is being typed. A completion takes the place of `text[start:end]`.

    field     a word, which may become a field's name: `typed`
    operator  a field is named and a colon typed, and signs are as likely to follow as values
    value     a value of `field` (which may be "is" or "has"), of what is under `keys` if there are any
    key       a key of `field`, under `keys`
    none      nothing that can be completed, such as a quoted phrase
    """

    kind: What
    field: str
    keys: tuple[str, ...]
    typed: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Completion:
    """`text` is what is put in; `form` shows it to people where that says more."""

    text: str
    sentence: str
    example: str = ""
    form: str = ""


def asked(text: str, position: int) -> Asked:
    """`position` counts characters of the text as it stands, from 0; what comes after it does not decide, but is
    replaced as far as it belongs to the same word."""
    position = max(0, min(position, len(text)))
    start = _start(text, position)
    _, end, opened = read_word(text, start)
    if opened is not None:  # a quote that is still open reaches to the end
        end = position
    typed, _, open_now = read_word(text[:position], start)
    end = max(end, position)
    return _asked(typed, end, quoting=open_now is not None)


def completions(what: Asked) -> list[Completion]:
    """What the language itself can offer."""
    match what.kind:
        case "field":
            return _fields(what.typed, ":") + _special(what.typed)
        case "operator":
            return operator_completions(what) + _words(what)
        case "value" if what.field == "is":
            return [Completion(c.name, c.sentence, f"is:{c.name}") for c in CONDITIONS.values() if _fits(c.name, what)]
        case "value" if what.field == "has":
            return _fields(what.typed, "")
        case "value":
            return (operator_completions(what) if not what.typed else []) + _words(what)
    return []


def field_completions(typed: str) -> list[Completion]:
    """Fields whose name begins with what was typed, then those that have it anywhere."""
    return _fields(typed, ":")


def operator_completions(what: Asked) -> list[Completion]:
    """The signs that may follow the field's name."""
    field = FIELDS.get(what.field)
    if field is None:
        return []
    signs = signs_of(field, under_key=bool(what.keys))
    return [Completion(sign.sign.removeprefix(":"), sign.sentence, sign.example, sign.form) for sign in signs]


def _start(text: str, position: int) -> int:
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


def _asked(word: Written, end: int, *, quoting: bool) -> Asked:
    colon = word.bare.find(":")
    subject = word.part(0, colon if colon >= 0 else None)
    head, *keys = subject.split(".")
    named = head.bare == head.text
    field = field_named(head.text) if named else None
    if colon < 0:
        if keys and field is not None and field.keys:
            return _at("key", field.name, tuple(key.text for key in keys[:-1]), keys[-1], end)
        free = named and not quoting and len(head.text) == len(word.text)
        return Asked("field" if free else "none", "", (), word.text, word.position, end)
    value = word.part(colon + 1)
    special = subject.text.casefold()
    if field is None and special in SPECIAL and subject.bare == subject.text:
        return _special_value(special, value, end)
    if field is None or (keys and not field.keys):
        return Asked("none", "", (), word.text, word.position, end)
    return _value(field, tuple(key.text for key in keys), value, end)


def _special_value(special: str, value: Written, end: int) -> Asked:
    part = value.split(",")[-1]
    head, *keys = part.split(".")
    field = field_named(head.text)
    if special == "has" and keys and field is not None and field.keys:
        return _at("key", field.name, tuple(key.text for key in keys[:-1]), keys[-1], end)
    return _at("value", special, (), part, end)


def _value(field: Field, keys: tuple[str, ...], value: Written, end: int) -> Asked:
    if not value.text:
        kind: What = "operator" if ordered(field) or (field.kind in ("text", "id") and not keys) else "value"
        return _at(kind, field.name, keys, value, end)
    part = value if field.kind == "text" and not keys else value.split(",")[-1]
    for sign in (*COMPARISONS, "="):
        if part.bare.startswith(sign):
            part = part.part(len(sign))
            break
    if ordered(field) and ".." in part.bare:
        part = part.part(part.bare.rindex("..") + 2)
    return _at("value", field.name, keys, part, end)


def _at(kind: What, field: str, keys: tuple[str, ...], part: Written, end: int) -> Asked:
    return Asked(kind, field, keys, part.text, part.position, end)


def _fits(name: str, what: Asked) -> bool:
    return name.startswith(what.typed.casefold())


def _fields(typed: str, sign: str) -> list[Completion]:
    folded = typed.casefold()
    found = [field for field in FIELDS.values() if folded in field.name]
    found.sort(key=lambda field: not field.name.startswith(folded))
    return [Completion(f"{field.name}{sign}", field.sentence, field.example) for field in found]


def _special(typed: str) -> list[Completion]:
    offers = (
        Completion("is:", "a condition: failed, running, slow …", "is:failed"),
        Completion("has:", "there is a value in a field", "has:traceback"),
    )
    return [offer for offer in offers if offer.text.startswith(typed.casefold())]


def _words(what: Asked) -> list[Completion]:
    """Words of the language that are values."""
    field = FIELDS.get(what.field)
    if field is None or field.kind != "time":
        return []
    found = [*(Completion(day, "the whole day", f"{field.name}:{day}") for day in DAYS),
             Completion("-1h", "an hour ago; units are s, m, h, d, w", f"{field.name}:>-1h"),
             Completion("now", "the present moment", f"{field.name}:-1h..now")]  # fmt: skip
    return [word for word in found if _fits(word.text, what)]
