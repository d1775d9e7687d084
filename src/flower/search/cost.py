"""Cost class of a query: answered from columns, from the text index, or by reading rows."""

from typing import Final

from flower.search.fields import FIELDS, FieldCost, is_ordered
from flower.search.tree import And, Node, Not, Or, PathCondition, Term

#: Length of the character sequences in the text index.
TRIGRAM_LENGTH: Final = 3
_COST_ORDER: Final[tuple[FieldCost, ...]] = ("columns", "text_index", "rows")


def query_cost(node: Node) -> FieldCost:
    """The cost of the most expensive step. Of terms that must all match the cheapest one is evaluated first, and the
    others are checked only for the rows that remain."""
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
            return "columns"  # complete ids are indexed
        case _, value:
            return _text_cost(value) if field.cost == "text_index" and not is_ordered(field) else field.cost
    raise AssertionError(term)


def _text_cost(value: object) -> FieldCost:
    return "text_index" if isinstance(value, str) and len(value.casefold()) >= TRIGRAM_LENGTH else "rows"
