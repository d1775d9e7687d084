"""Search tree → SQL, for one segment: the one place where a search becomes SQL.

Words are looked up in the dictionary of the segment with the same comparison as in `search.matcher`, and become lists
of numbers. Texts are compared by SQLite where all texts of a row are ASCII (`plain`), and by the functions of `matcher`
elsewhere, so that both evaluations of a query agree exactly.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import apsw

from flower.search.field_values import compute_failure_id
from flower.search.fields import FIELDS, FREE_TEXT, Field
from flower.search.key_paths import data_path_predicate, path_predicate
from flower.search.matcher import compile_predicate, contains_folded, has_kwargs_pair
from flower.search.tree import And, Node, Not, Or, PathCondition, Term
from flower.search.wildcards import compile_wildcard
from flower.store.sqlite.row_codec import WordDictionary, pack_id, unpack_id
from flower.store.sqlite.schema import ENDED_EXPRESSION, TIME_EXPRESSION, WORD_KINDS

#: SQLite's limit for LIKE is 50,000 bytes.
_MAX_PATTERN_LENGTH: Final = 10_000
_MAX_INLINE_IDS: Final = 200
_ID_CHARACTERS: Final = frozenset("0123456789abcdef-")
#: SQL of the fields that `search.field_values` computes.
_COMPUTED: Final = {
    "wait": "coalesce(queue_wait, started - coalesce(sent, received))",
    "time": TIME_EXPRESSION,
    "ended": ENDED_EXPRESSION,
    "lost": "json_extract(lost, '$.reason')",
    "attempts": "(1 + ifnull(json_array_length(earlier), 0))",
    "failure": "failure_id(exception, traceback)",
    "data": "nullif(data, '{}')",
}


@dataclass(frozen=True, slots=True)
class Clause:
    """An SQL condition with its values."""

    sql: str
    values: tuple[Any, ...] = ()


ALWAYS_TRUE: Final = Clause("TRUE")
ALWAYS_FALSE: Final = Clause("FALSE")


@dataclass(frozen=True, slots=True)
class SqlWhere:
    """Conditions that must all hold."""

    clauses: tuple[Clause, ...]

    @property
    def is_never(self) -> bool:
        return ALWAYS_FALSE in self.clauses

    @property
    def sql(self) -> str:
        return " AND ".join(clause.sql for clause in self.clauses) or "TRUE"

    @property
    def values(self) -> tuple[Any, ...]:
        return tuple(value for clause in self.clauses for value in clause.values)


def validate_query(node: Node) -> None:
    """Raises InvalidRequest for terms that are invalid for their field, exactly as `matcher` does."""
    compile_predicate(node)


def compile_where(
    node: Node,
    dictionary: WordDictionary,
    *,
    has_non_uuid_ids: bool,
    slow_thresholds: Mapping[str, float] | None = None,
) -> SqlWhere:
    """`has_non_uuid_ids`: whether the segment contains ids that are not canonical UUIDs. `slow_thresholds`: run time
    above which `is:slow` matches, by task name."""
    compiler = _Compiler(dictionary, odd_ids=has_non_uuid_ids, slow=slow_thresholds or {})
    parts = _conjuncts(node)
    clauses = [clause for clause in map(compiler.compile_node, parts) if clause != ALWAYS_TRUE]
    return SqlWhere((ALWAYS_FALSE,)) if ALWAYS_FALSE in clauses else SqlWhere(tuple(dict.fromkeys(clauses)))


def _conjuncts(node: Node) -> list[Node]:
    if isinstance(node, And):
        return [part for term in node.terms for part in _conjuncts(term)]
    return [node]


class _Compiler:
    def __init__(self, dictionary: WordDictionary, *, odd_ids: bool, slow: Mapping[str, float]) -> None:
        self._dictionary = dictionary
        self._odd_ids = odd_ids
        self._slow_above = slow

    def compile_node(self, node: Node) -> Clause:
        match node:
            case And(terms):
                return _all(list(map(self.compile_node, terms)))
            case Or(terms):
                return _any(list(map(self.compile_node, terms)))
            case Not(term):
                return _not(self.compile_node(term))
            case Term():
                return self._term(node)

    def _term(self, term: Term) -> Clause:
        match term:
            case Term("", "contains", str(value)):
                return _any([self._contains(field, value.casefold()) for field in FREE_TEXT])
            case Term(name, "contains", str(value)):
                return self._contains(FIELDS[name], value.casefold())
            case Term(name, "is", str(value)):
                return self._is(FIELDS[name], value.casefold())
            case Term(name, "equals", str(value)):
                return self._equals(FIELDS[name], value)
            case Term(name, "like", str(value)):
                return self._like(FIELDS[name], value)
            case Term(name, "range", (low, high)):
                return _range(_column(FIELDS[name]), low, high)  # type: ignore[arg-type]
            case Term(name, "present"):
                return Clause(f"({_column(FIELDS[name])} IS NOT NULL)")
            case Term(name, "path", PathCondition() as path):
                return _path(name, path)
            case Term(_, "pair", (str(key), str(value))):
                return _pair(key, value)
            case Term(_, "slow"):
                return self._slow()
        raise AssertionError(term)

    def _contains(self, field: Field, needle: str) -> Clause:
        if field.attribute in WORD_KINDS:
            return self._word(field, lambda word: needle in word.casefold())
        if field.kind == "id":
            return self._id_contains(field.attribute, needle)
        return _text(field, needle, "contains")

    def _is(self, field: Field, wanted: str) -> Clause:
        if field.attribute in WORD_KINDS:
            return self._word(field, lambda word: word.casefold() == wanted)
        if field.kind == "id":
            column = field.attribute
            canonical = self._id_equals(column, wanted)
            other_ids = Clause(f"(typeof({column}) = 'text' AND casefold({column}) = ?)", (wanted,))
            return _any([canonical, other_ids]) if self._odd_ids and _is_storable(wanted) else canonical
        return _text(field, wanted, "is")

    def _equals(self, field: Field, value: str) -> Clause:
        if field.attribute in WORD_KINDS:
            return self._word(field, lambda word: word == value)
        if field.kind == "id":
            return self._id_equals(field.attribute, value)
        return Clause(f"{_column(field)} = ?", (value,)) if _is_storable(value) else ALWAYS_FALSE

    def _like(self, field: Field, pattern: str) -> Clause:
        if field.attribute in WORD_KINDS:
            return self._word(field, compile_wildcard(pattern))
        if not _is_storable(pattern):
            return ALWAYS_FALSE
        return Clause(f"like_pattern({_column(field)}, ?)", (pattern,))

    def _slow(self) -> Clause:
        numbers = [(number, self._slow_above.get(name)) for number, name in self._dictionary.words(WORD_KINDS["name"])]
        limits = [(number, limit) for number, limit in numbers if limit is not None]
        if not limits:
            return ALWAYS_FALSE
        cases = " ".join(f"WHEN {number} THEN ?" for number, _ in limits)
        return Clause(f"(runtime > CASE name {cases} END)", tuple(limit for _, limit in limits))

    def _word(self, field: Field, matches: Callable[[str], bool]) -> Clause:
        column = field.attribute
        numbers = tuple(number for number, word in self._dictionary.words(WORD_KINDS[column]) if matches(word))
        if not numbers:
            return ALWAYS_FALSE
        return Clause(*_one_of(column, numbers))

    def _id_equals(self, column: str, value: str) -> Clause:
        packed = pack_id(value)
        if isinstance(packed, str) and (not self._odd_ids or packed != value):
            return ALWAYS_FALSE
        return Clause(f"{column} = ?", (packed,))

    def _id_contains(self, column: str, needle: str) -> Clause:
        if not _is_storable(needle):
            return ALWAYS_FALSE
        other_ids = Clause(f"(typeof({column}) = 'text' AND id_contains({column}, ?))", (needle,))
        if not needle or (len(needle) <= 36 and _ID_CHARACTERS.issuperset(needle)):
            if isinstance(pack_id(needle), bytes):
                canonical = self._id_equals(column, needle)
            else:
                # compare the digits first, which is cheap; the positions of the dashes are checked after
                digits = needle.replace("-", "").upper()
                canonical = Clause(
                    f"(typeof({column}) = 'blob' AND instr(hex({column}), ?) AND id_contains({column}, ?))",
                    (digits, needle),
                )
        else:
            canonical = ALWAYS_FALSE
        return _any([canonical, other_ids]) if self._odd_ids else canonical


def _all(clauses: list[Clause]) -> Clause:
    clauses = [clause for clause in clauses if clause != ALWAYS_TRUE]
    if ALWAYS_FALSE in clauses:
        return ALWAYS_FALSE
    return _join(clauses, " AND ") if clauses else ALWAYS_TRUE


def _any(clauses: list[Clause]) -> Clause:
    clauses = [clause for clause in clauses if clause != ALWAYS_FALSE]
    if ALWAYS_TRUE in clauses:
        return ALWAYS_TRUE
    return _join(clauses, " OR ") if clauses else ALWAYS_FALSE


def _join(clauses: Sequence[Clause], separator: str) -> Clause:
    if len(clauses) == 1:
        return clauses[0]
    sql = separator.join(clause.sql for clause in clauses)
    return Clause(f"({sql})", tuple(value for clause in clauses for value in clause.values))


def _not(clause: Clause) -> Clause:
    if clause == ALWAYS_TRUE:
        return ALWAYS_FALSE
    if clause == ALWAYS_FALSE:
        return ALWAYS_TRUE
    # NULL does not match
    return Clause(f"(({clause.sql}) IS NOT TRUE)", clause.values)


def _one_of(column: str, numbers: tuple[int, ...]) -> tuple[str, tuple[Any, ...]]:
    if len(numbers) == 1:
        return f"{column} = {numbers[0]}", ()
    if len(numbers) <= _MAX_INLINE_IDS:
        return f"{column} IN ({', '.join(map(str, numbers))})", ()
    return f"{column} IN (SELECT value FROM json_each(?))", (json.dumps(numbers),)


def _column(field: Field) -> str:
    return _COMPUTED.get(field.name, field.attribute)


def _text(field: Field, needle: str, operator: str) -> Clause:
    """`needle` is casefolded. A text with a non-ASCII letter may fold to an ASCII needle, so such rows are compared by
    the function of `matcher`; a plain row never contains a non-ASCII needle."""
    if not _is_storable(needle):
        return ALWAYS_FALSE
    column = _column(field)
    function = f"text_{operator}({column}, ?)"
    if field.name in _COMPUTED:  # `plain` does not cover them
        return Clause(function, (needle,))
    if not needle.isascii() or "\0" in needle:
        return Clause(f"(plain = 0 AND {function})", (needle,))
    if len(needle) > _MAX_PATTERN_LENGTH:
        return Clause(f"({column} IS NOT NULL AND {function})", (needle,))
    if operator == "is":
        return Clause(f"({column} = ? COLLATE NOCASE OR (plain = 0 AND {function}))", (needle, needle))
    pattern = needle.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return Clause(f"CASE WHEN plain THEN {column} LIKE ? ESCAPE '\\' ELSE {function} END", (f"%{pattern}%", needle))


def _range(column: str, low: float | None, high: float | None) -> Clause:
    conditions = [f"{column} IS NOT NULL"]
    values: list[float] = []
    for bound, operator in ((low, ">="), (high, "<=")):
        if bound is not None:
            if math.isnan(bound):  # NaN compares with nothing
                return ALWAYS_FALSE
            conditions.append(f"{column} {operator} ?")
            values.append(_within(bound))
    return Clause(f"({' AND '.join(conditions)})", tuple(values))


def _within(bound: float) -> float:
    """SQLite integers have 64 bits."""
    return float(bound) if isinstance(bound, int) and abs(bound) >= 2**63 else bound


def _pair(key: str, value: str) -> Clause:
    # as JSON, because SQLite accepts no lone surrogates, which a literal can contain
    return Clause("(kwargs IS NOT NULL AND has_pair(kwargs, ?))", (json.dumps([key, value]),))


def _path(column: str, path: PathCondition) -> Clause:
    condition = json.dumps([path.keys, path.operator, path.value])
    return Clause(
        f"({column} IS NOT NULL AND {'data' if column == 'data' else 'text'}_leads({column}, ?))", (condition,)
    )


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text_contains(text: Any, needle: str) -> bool:
    return text is not None and contains_folded(text, needle)


def _text_is(text: Any, needle: str) -> bool:
    return text is not None and text.casefold() == needle


def _id_contains(value: Any, needle: str) -> bool:
    return value is not None and contains_folded(unpack_id(value), needle)


def _casefold(value: Any) -> str | None:
    return None if value is None else unpack_id(value).casefold()


def _like_pattern(value: Any, pattern: str) -> bool:
    return value is not None and compile_wildcard(pattern)(unpack_id(value))


def _has_pair(text: str, pair: str) -> bool:
    key, value = json.loads(pair)
    return has_kwargs_pair(text, key, value)


def _text_path_matches(text: str, condition: str) -> bool:
    return _compile_test(path_predicate, condition)(text)


def _data_path_matches(text: str, condition: str) -> bool:
    return _compile_test(data_path_predicate, condition)(json.loads(text))


@lru_cache(maxsize=64)
def _compile_test(
    compiler: Callable[[PathCondition], Callable[[object], bool]], condition: str
) -> Callable[[object], bool]:
    keys, operator, value = json.loads(condition)
    return compiler(PathCondition(tuple(keys), operator, tuple(value) if isinstance(value, list) else value))


def register_functions(connection: apsw.Connection) -> None:
    """Registers the functions that the SQL above calls."""
    functions: tuple[tuple[str, Callable[..., Any], int], ...] = (
        ("text_contains", _text_contains, 2),
        ("text_is", _text_is, 2),
        ("id_contains", _id_contains, 2),
        ("like_pattern", _like_pattern, 2),
        ("has_pair", _has_pair, 2),
        ("text_leads", _text_path_matches, 2),
        ("data_leads", _data_path_matches, 2),
        ("failure_id", compute_failure_id, 2),
        ("casefold", _casefold, 1),
    )
    for name, function, arguments in functions:
        connection.create_scalar_function(name, function, arguments, deterministic=True)
