"""The signs that can stand behind a field: one table that completion and the documentation read."""

from dataclasses import dataclass

from flower.search.fields import Field, FieldKind

_TEXTS: tuple[FieldKind, ...] = ("text", "word", "state", "id")
_ORDERED: tuple[FieldKind, ...] = ("number", "time")


@dataclass(frozen=True, slots=True)
class SearchOperator:
    """`sign` stands between the field's name and the value; "" where the sign is within the value."""

    symbol: str
    syntax: str
    kinds: tuple[FieldKind, ...]
    description: str
    example: str
    #: also for what is under a key
    applies_to_keys: bool = False


OPERATORS = (
    SearchOperator(":", "field:value", ("text", "word", "id"), "has the value in it", "name:billing"),
    SearchOperator(":", "field:value", ("state",), "is the value", "state:FAILURE"),
    SearchOperator(":", "field:value", ("number",), "is this number", "retries:3"),
    SearchOperator(":", "field:value", ("time",), "lies in the stretch that the text names", "received:2026-11-22"),
    SearchOperator(":=", "field:=value", _TEXTS, "is the value to the letter", "name:=billing.charge"),
    SearchOperator("", "field:a,b", ("word", "state", "id", *_ORDERED), "is one of these", "state:FAILURE,RETRY",
    applies_to_keys=True),
    SearchOperator("", "field:a*b", ("word", "state", "id"), "fits: `*` is any text, `?` one character",
    "name:billing.*",
         applies_to_keys=True),
    SearchOperator(":>", "field:>value", _ORDERED, "is more, or later", "runtime:>1.5s", applies_to_keys=True),
    SearchOperator(":>=", "field:>=value", _ORDERED, "is as much or more", "retries:>=3", applies_to_keys=True),
    SearchOperator(":<", "field:<value", _ORDERED, "is less, or earlier", "wait:<100ms", applies_to_keys=True),
    SearchOperator(":<=", "field:<=value", _ORDERED, "is as much or less", "received:<=2026-11-20",
    applies_to_keys=True),
    SearchOperator("", "field:a..b", _ORDERED, "lies between, both included; `a..` and `..b` are open",
    "runtime:100ms..2s",
         applies_to_keys=True),
)  # fmt: skip


def operators_for(field: Field, *, under_key: bool = False) -> tuple[SearchOperator, ...]:
    if under_key:
        return (
            SearchOperator(":", "field.key:value", ("text",), "is the value", "kwargs.order_id:17"),
            *filter(_for_keys, OPERATORS),
        )
    return tuple(sign for sign in OPERATORS if field.kind in sign.kinds)


def _for_keys(sign: SearchOperator) -> bool:
    return sign.applies_to_keys
