"""The search tree: what a query means, whoever wrote it. Text becomes it in `syntax`; the store turns
it into SQL, `match` holds it against one record. A tree is a value: frozen, hashable, comparable."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

#: contains   casefolded substring; field "" means: in any of the free-text fields
#: is         the whole value, ignoring case
#: equals     the whole value, to the letter
#: range      low <= value <= high, either may be None; a missing value is in no range
#: pair       `kwargs:key=value`: the keyword argument `key` has exactly this value, ignoring case
Operator: TypeAlias = Literal["contains", "is", "equals", "range", "pair"]
Bounds: TypeAlias = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Term:
    field: str
    operator: Operator
    value: str | Bounds | tuple[str, str]


@dataclass(frozen=True, slots=True)
class Not:
    term: "Node"


@dataclass(frozen=True, slots=True)
class And:
    terms: tuple["Node", ...] = ()


@dataclass(frozen=True, slots=True)
class Or:
    terms: tuple["Node", ...] = ()


Node: TypeAlias = Term | Not | And | Or

#: The query that holds for every task.
EVERYTHING = And()
