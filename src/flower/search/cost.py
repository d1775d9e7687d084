"""What a search costs: from columns, from the text index, or by reading rows."""

from typing import Final

from flower.search.fields import FIELDS, Cost, ordered
from flower.search.tree import And, Node, Not, Or, Path, Term

#: The text index holds all runs of so many characters.
GRAM: Final = 3
_ORDER: Final[tuple[Cost, ...]] = ("columns", "text index", "rows")


def cost(node: Node) -> Cost:
    """The class of the dearest thing that has to be done. Of terms that must all hold the cheapest one leads, and
    only the rows that it leaves are looked at for the others."""
    match node:
        case Term():
            return _term(node)
        case Not(inner):
            return "columns" if cost(inner) == "columns" else "rows"
        case And(terms):
            return min(map(cost, terms), key=_ORDER.index, default="columns")
        case Or(terms):
            return max(map(cost, terms), key=_ORDER.index, default="columns")


def _term(term: Term) -> Cost:
    if term.field == "":
        return _text(term.value)
    field = FIELDS[term.field]
    match term.operator, term.value:
        case "present", _:
            return "columns"
        case "path", Path(keys=keys, value=value):
            return "rows" if field.cost == "rows" else min(map(_text, (*keys, value)), key=_ORDER.index)
        case "pair", (key, value):
            return min(_text(key), _text(value), key=_ORDER.index)
        case (("is" | "equals"), _) if field.kind == "id":
            return "columns"  # whole ids have an index
        case _, value:
            return _text(value) if field.cost == "text index" and not ordered(field) else field.cost
    raise AssertionError(term)


def _text(value: object) -> Cost:
    return "text index" if isinstance(value, str) and len(value.casefold()) >= GRAM else "rows"
