"""The signs that can stand behind a field: one table that completion and the documentation read."""

from dataclasses import dataclass

from flower.search.fields import Field, Kind

_TEXTS: tuple[Kind, ...] = ("text", "word", "state", "id")
_ORDERED: tuple[Kind, ...] = ("number", "time")


@dataclass(frozen=True, slots=True)
class Sign:
    """`sign` stands between the field's name and the value; "" where the sign is within the value."""

    sign: str
    form: str
    kinds: tuple[Kind, ...]
    sentence: str
    example: str
    #: also for what is under a key
    keys: bool = False


SIGNS = (
    Sign(":", "field:value", ("text", "word", "id"), "has the value in it", "name:billing"),
    Sign(":", "field:value", ("state",), "is the value", "state:FAILURE"),
    Sign(":", "field:value", ("number",), "is this number", "retries:3"),
    Sign(":", "field:value", ("time",), "lies in the stretch that the text names", "received:2026-11-22"),
    Sign(":=", "field:=value", _TEXTS, "is the value to the letter", "name:=billing.charge"),
    Sign("", "field:a,b", ("word", "state", "id", *_ORDERED), "is one of these", "state:FAILURE,RETRY", keys=True),
    Sign("", "field:a*b", ("word", "state", "id"), "fits: `*` is any text, `?` one character", "name:billing.*",
         keys=True),
    Sign(":>", "field:>value", _ORDERED, "is more, or later", "runtime:>1.5s", keys=True),
    Sign(":>=", "field:>=value", _ORDERED, "is as much or more", "retries:>=3", keys=True),
    Sign(":<", "field:<value", _ORDERED, "is less, or earlier", "wait:<100ms", keys=True),
    Sign(":<=", "field:<=value", _ORDERED, "is as much or less", "received:<=2026-11-20", keys=True),
    Sign("", "field:a..b", _ORDERED, "lies between, both included; `a..` and `..b` are open", "runtime:100ms..2s",
         keys=True),
)  # fmt: skip


def signs_of(field: Field, *, under_key: bool = False) -> tuple[Sign, ...]:
    if under_key:
        return (
            Sign(":", "field.key:value", ("text",), "is the value", "kwargs.order_id:17"),
            *filter(_for_keys, SIGNS),
        )
    return tuple(sign for sign in SIGNS if field.kind in sign.kinds)


def _for_keys(sign: Sign) -> bool:
    return sign.keys
