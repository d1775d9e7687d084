"""The search tree: what a query means, whoever wrote it. Text becomes it in `syntax`; the store turns
it into SQL, `match` holds it against one record. A tree is a value: frozen, hashable, comparable.

What a term asks of the text of its field (see `match.field_text`). Ignoring case means comparing
`str.casefold()` of both sides; accents count. A missing value (None) fulfils no term at all; so `Not`
of a term holds for a task without the value.

    contains  the text has the value in it, ignoring case. Field "" means: the text of any one of
              `fields.FREE_TEXT` has it (a hit never runs from one field into the next)
    is        the text is the value, ignoring case
    equals    the text is the value, to the letter
    range     kinds `number` and `time`: low <= value <= high, where None is no bound. A value that
              is no number counts as missing, so does NaN; (None, None) asks for the value to be there
    like      the whole text fits the pattern, ignoring case: `*` stands for any characters, `?` for one, `\\` before
              one of these three for the character itself. For the kinds `word`, `state` and `id`
    present   there is a value; the term's own is "". For every field
    path      fields `args`, `kwargs`, `result` and `data`: the value is a `Path`, what is found by its keys (indexes
              for sequences; ignoring case) in the text read as a literal, compared by its operator (see
              `paths.path_values`). In `data`, `progress` also leads to what `task-progress` brought
    slow      field `runtime` only, the value is "": more than the 95th percentile of the task's type. What that is
              comes from outside, by name (`store.port.Reader.slow`)
    pair      field `kwargs` only, the value is (key, value): the text reads as a literal dict, with a
              key that is `key` and a value that is `value`, ignoring case in both (`match.kwargs_pair`)

`contains`, `is` and `equals` are for the kinds `text`, `word`, `state` and `id`. `And(())` holds for
every task, `Or(())` for none.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Operator: TypeAlias = Literal["contains", "is", "equals", "range", "like", "present", "path", "slow", "pair"]
RangeBounds: TypeAlias = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class PathCondition:
    """`is` and `like` compare the value's text as `pair` does, `range` its number (or the number that its text is);
    `present`: the keys lead somewhere."""

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

#: The query that holds for every task.
EVERYTHING = And()


def all_of(terms: Iterable[Node]) -> Node:
    """All of these, in the plainest form: no And within an And, nothing twice, no And of one."""
    parts = dict.fromkeys(part for term in terms for part in (term.terms if isinstance(term, And) else (term,)))
    return next(iter(parts)) if len(parts) == 1 else And(tuple(parts))


def any_of(terms: Iterable[Node]) -> Node:
    """Any of these, in the plainest form."""
    parts = dict.fromkeys(part for term in terms for part in (term.terms if isinstance(term, Or) else (term,)))
    return next(iter(parts)) if len(parts) == 1 else Or(tuple(parts))


def iter_terms(node: Node) -> Iterator[Term]:
    """All terms, negated ones too."""
    waiting = [node]
    while waiting:
        match waiting.pop():
            case Term() as term:
                yield term
            case Not(inner):
                waiting.append(inner)
            case And(terms) | Or(terms):
                waiting.extend(terms)
