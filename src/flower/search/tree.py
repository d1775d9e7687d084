"""The search tree. `parser` builds it from text, the store compiles it to SQL, `matcher` evaluates it against one task.
A tree is a value: frozen, hashable, comparable.

The operators of a term are defined on the text of the field (see `field_values.field_text`). Ignoring case means
comparing `str.casefold()` of both sides; accents are significant. A missing value (None) matches no term, so `Not` of a
term matches a task without the value.

    contains  the text contains the value, ignoring case. Field "": the text of any field of `fields.FREE_TEXT`
              contains it (a match never spans two fields)
    is        the text equals the value, ignoring case
    equals    the text equals the value exactly
    range     types `number` and `time`: low <= value <= high, where None is no bound. A value that is not a number
              (also NaN) is missing; (None, None) requires a value
    like      the complete text matches the pattern, ignoring case: `*` is any text, `?` one character, and `\\`
              before one of these three is the character itself. For the types `word`, `state` and `id`
    present   there is a value; the value of the term is "". For every field
    path      fields `args`, `kwargs`, `result` and `data`: the value is a `PathCondition`. The text is read as a
              literal; the values at the path of keys (indexes of sequences; ignoring case) are compared by the
              operator (see `key_paths.find_path_values`). In `data`, `progress` also names `task-progress`
    slow      field `runtime` only, the value is "": above the 95th percentile of the task type. The thresholds
              are given by name (`store.protocols.Reader.slow_thresholds`)
    pair      field `kwargs` only, the value is (key, value): the text is the literal of a dict that has this key
              with this value, ignoring case in both (`matcher.has_kwargs_pair`)

`contains`, `is` and `equals` are for the types `text`, `word`, `state` and `id`. `And(())` matches every task, `Or(())`
none.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Operator: TypeAlias = Literal["contains", "is", "equals", "range", "like", "present", "path", "slow", "pair"]
RangeBounds: TypeAlias = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class PathCondition:
    """A condition on the values at a path of keys. `is` and `like` compare the text of a value as `pair` does, `range`
    its number (or the number in its text); `present` requires a value."""

    keys: tuple[str, ...]
    operator: Literal["is", "like", "range", "present"]
    value: str | RangeBounds = ""


@dataclass(frozen=True, slots=True)
class Term:
    """`field` is a name of `fields.FIELDS`, or "" with `contains`."""

    field: str
    operator: Operator
    value: str | RangeBounds | tuple[str, str] | PathCondition


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

#: The query that matches every task.
EVERYTHING = And()


def all_of(terms: Iterable[Node]) -> Node:
    """The conjunction in canonical form: no And inside an And, no duplicates, no And of one term."""
    parts = dict.fromkeys(part for term in terms for part in (term.terms if isinstance(term, And) else (term,)))
    return next(iter(parts)) if len(parts) == 1 else And(tuple(parts))


def any_of(terms: Iterable[Node]) -> Node:
    """The disjunction in canonical form."""
    parts = dict.fromkeys(part for term in terms for part in (term.terms if isinstance(term, Or) else (term,)))
    return next(iter(parts)) if len(parts) == 1 else Or(tuple(parts))


def iter_terms(node: Node) -> Iterator[Term]:
    """All terms, including negated ones."""
    pending = [node]
    while pending:
        match pending.pop():
            case Term() as term:
                yield term
            case Not(inner):
                pending.append(inner)
            case And(terms) | Or(terms):
                pending.extend(terms)
