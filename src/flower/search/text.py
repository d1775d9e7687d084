"""Tree → text: the query that parses back to the tree."""

import re

from flower.errors import Invalid
from flower.search.qualified import field_named, write
from flower.search.tree import EVERYTHING, And, Node, Not, Or, Term

_NEEDS_QUOTES = re.compile(r'[\s()"\\]|\A(?:AND|OR|NOT)\Z')


def to_text(node: Node) -> str:
    """`parse(to_text(node))` is `node`, in the plain form that `all_of` and `any_of` give.

    Raises Invalid for what today's language has no words for: `equals`, open ranges, the empty Or.
    """
    return "" if node == EVERYTHING else _node(node)


def _node(node: Node) -> str:
    match node:
        case Term():
            return _term(node)
        case Not(Not() as inner):
            return f"NOT {_node(inner)}"  # two dashes would not be read as two negations
        case Not(inner):
            return f"-{_grouped(inner)}"
        case And(terms) if terms:
            return " ".join(_node(term) if isinstance(term, And) else _grouped(term) for term in terms)
        case Or(terms) if terms:
            return " OR ".join(map(_node, terms))
    raise Invalid(f"{node} cannot be written as a search")


def _grouped(node: Node) -> str:
    many = isinstance(node, And | Or) and len(node.terms) > 1
    return f"({_node(node)})" if many else _node(node)


def _term(term: Term) -> str:
    if term.field == "" and term.operator == "contains" and isinstance(term.value, str) and term.value:
        word, colon, _ = term.value.partition(":")
        means_more = term.value.startswith("-") or (colon and field_named(word))
        return _quoted(term.value) if means_more else _value(term.value)
    value = write(term) if term.field else None
    if value is None:
        raise Invalid(f"{term} cannot be written as a search")
    return f"{term.field}:{_value(value)}"


def _value(value: str) -> str:
    return _quoted(value) if _NEEDS_QUOTES.search(value) else value


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
