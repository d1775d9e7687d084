"""What a search costs: from columns, from the text index, or by reading rows."""

from typing import Final

from flower.search.fields import FIELDS, FieldCost, is_ordered
from flower.search.tree import And, Node, Not, Or, PathCondition, Term

#: The text index holds all runs of so many characters.
TRIGRAM_LENGTH: Final = 3
_COST_ORDER: Final[tuple[FieldCost, ...]] = ("columns", "text index", "rows")


def query_cost(node: Node) -> FieldCost:
    """The class of the dearest thing that has to be done. Of terms that must all hold the cheapest one leads, and
    only the rows that it leaves are looked at for the others."""
    match node:
        case Term():
            return _term_cost(node)
        case Not(inner):
            return "columns" if query_cost(inner) == "columns" else "rows"
        case And(terms):
            return min(map(query_cost, terms), key=_COST_ORDER.index, default="columns")
        case Or(terms):
            return max(map(query_cost, terms), key=_COST_ORDER.index, default="columns")


def _term_cost(term: Term) -> FieldCost:
    if term.field == "":
        return _text_cost(term.value)
    field = FIELDS[term.field]
    match term.operator, term.value:
        case "present", _:
            return "columns"
        case "path", PathCondition(keys=keys, value=value):
            return "rows" if field.cost == "rows" else min(map(_text_cost, (*keys, value)), key=_COST_ORDER.index)
        case "pair", (key, value):
            return min(_text_cost(key), _text_cost(value), key=_COST_ORDER.index)
        case (("is" | "equals"), _) if field.kind == "id":
            return "columns"  # whole ids have an index
        case _, value:
            return _text_cost(value) if field.cost == "text index" and not is_ordered(field) else field.cost
    raise AssertionError(term)


def _text_cost(value: object) -> FieldCost:
    return "text index" if isinstance(value, str) and len(value.casefold()) >= TRIGRAM_LENGTH else "rows"
