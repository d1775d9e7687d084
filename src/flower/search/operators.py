"""Table of the operators, read by completion and the documentation."""

from dataclasses import dataclass

from flower.search.fields import Field, FieldKind

_TEXTS: tuple[FieldKind, ...] = ("text", "word", "state", "id")
_ORDERED: tuple[FieldKind, ...] = ("number", "time")


@dataclass(frozen=True, slots=True)
class SearchOperator:
    """`symbol` is the text between the name of the field and the value; "" if the operator is part of the value."""

    symbol: str
    syntax: str
    kinds: tuple[FieldKind, ...]
    description: str
    example: str
    #: also for the values under a key
    applies_to_keys: bool = False


OPERATORS = (
    SearchOperator(":", "field:value", ("text", "word", "id"), "contains the value", "name:billing"),
    SearchOperator(":", "field:value", ("state",), "equals the value", "state:FAILURE"),
    SearchOperator(":", "field:value", ("number",), "equals the number", "retries:3"),
    SearchOperator(":", "field:value", ("time",), "is in this year, month, day, minute or second",
                   "received:2026-11-22"),
    SearchOperator(":=", "field:=value", _TEXTS, "equals exactly (case-sensitive)", "name:=billing.charge"),
    SearchOperator("", "field:a,b", ("word", "state", "id", *_ORDERED), "equals one of these values",
                   "state:FAILURE,RETRY", applies_to_keys=True),
    SearchOperator("", "field:a*b", ("word", "state", "id"), "matches; `*` is any text, `?` one character",
    "name:billing.*",
         applies_to_keys=True),
    SearchOperator(":>", "field:>value", _ORDERED, ">, or later", "runtime:>1.5s", applies_to_keys=True),
    SearchOperator(":>=", "field:>=value", _ORDERED, "≥", "retries:>=3", applies_to_keys=True),
    SearchOperator(":<", "field:<value", _ORDERED, "<, or earlier", "wait:<100ms", applies_to_keys=True),
    SearchOperator(":<=", "field:<=value", _ORDERED, "≤", "received:<=2026-11-20",
    applies_to_keys=True),
    SearchOperator("", "field:a..b", _ORDERED, "is in the range, bounds included; `a..` and `..b` are open",
    "runtime:100ms..2s",
         applies_to_keys=True),
)  # fmt: skip


def operators_for(field: Field, *, under_key: bool = False) -> tuple[SearchOperator, ...]:
    """The operators of a field, or of the values under its keys."""
    if under_key:
        return (
            SearchOperator(":", "field.key:value", ("text",), "equals the value", "kwargs.order_id:17"),
            *filter(_for_keys, OPERATORS),
        )
    return tuple(operator for operator in OPERATORS if field.kind in operator.kinds)


def _for_keys(operator: SearchOperator) -> bool:
    return operator.applies_to_keys
