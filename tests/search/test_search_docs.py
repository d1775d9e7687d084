"""`docs/search.md` matches the code. Run as a program, this module rewrites its tables."""

import re

import pytest

from flower.search.conditions import CONDITIONS
from flower.search.fields import ALIASES, FIELDS
from flower.search.operators import OPERATORS
from flower.search.parser import MAX_QUERY_DEPTH, MAX_QUERY_LENGTH, MAX_QUERY_TOKENS, parse_search
from flower.search.query_warnings import find_query_warnings
from flower.search.tree import iter_terms
from flower.search.wildcards import MAX_STARS
from tests.helpers.paths import DOCS

PAGE = DOCS / "search.md"
_TABLE = re.compile(r"(<!-- (\w+): written.*?-->\n)(.*?)(<!-- end of \2 -->)", re.DOTALL)
_KINDS = {
    "text": "substring",
    "word": "substring",
    "id": "substring",
    "state": "exact",
    "number": "number",
    "time": "time",
}


def fields() -> list[str]:
    lines = [
        "| field | description | comparison | free text | cost | example |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for field in FIELDS.values():
        free = "yes" if field.in_free_text else ""
        compared = "duration" if field.is_duration else _KINDS[field.kind]
        compared += ", keys" if field.has_keys else ""
        lines.append(
            f"| `{field.name}` | {field.description} | {compared} | {free} | {field.cost} | `{field.example}` |"
        )
    return lines


def operators() -> list[str]:
    lines = ["| syntax | matches if the value | types | example |", "| --- | --- | --- | --- |"]
    for operator in OPERATORS:
        kinds = dict.fromkeys(_KINDS[kind] for kind in operator.kinds)
        types = ", ".join((*kinds, *(("keys",) if operator.applies_to_keys else ())))
        lines.append(f"| `{operator.syntax}` | {operator.description} | {types} | `{operator.example}` |")
    return lines


def conditions() -> list[str]:
    lines = ["| syntax | matches tasks that are |", "| --- | --- |"]
    return lines + [f"| `is:{condition.name}` | {condition.description} |" for condition in CONDITIONS.values()]


def limits() -> list[str]:
    return [
        f"- {MAX_QUERY_LENGTH} characters",
        f"- {MAX_QUERY_TOKENS} tokens: words, operators, parentheses and the values of lists",
        f"- {MAX_QUERY_DEPTH} levels of parentheses",
        f"- {MAX_STARS} `*` in one pattern",
    ]


WRITERS = {"fields": fields, "operators": operators, "conditions": conditions, "limits": limits}


def with_tables(page: str) -> str:
    return _TABLE.sub(lambda found: found[1] + "\n".join(WRITERS[found[2]]()) + "\n" + found[4], page)


def test_tables_match_the_code() -> None:
    page = PAGE.read_text("utf-8")
    assert {found[2] for found in _TABLE.finditer(page)} == set(WRITERS)
    assert page == with_tables(page), f"run: python -m {__name__}"


@pytest.mark.parametrize("field", FIELDS.values(), ids=lambda field: field.name)
def test_field_examples_are_queries(field: object) -> None:
    (term,) = iter_terms(parse_search(field.example))  # type: ignore[attr-defined]
    assert term.field == field.name  # type: ignore[attr-defined]


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.syntax)
def test_operator_examples_are_queries(operator: object) -> None:
    assert all(FIELDS[term.field].kind in operator.kinds for term in iter_terms(parse_search(operator.example)))  # type: ignore[attr-defined]


def _queries() -> list[str]:
    page = PAGE.read_text("utf-8")
    blocks = re.findall(r"^```query\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert blocks
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("query", _queries())
def test_queries_on_the_page_are_valid(query: str) -> None:
    assert parse_search(query)
    assert find_query_warnings(query) == []


def test_error_on_the_page_is_current() -> None:
    (shown,) = re.findall(r"^    (.* at position \d+\. .*)$", PAGE.read_text("utf-8"), re.MULTILINE)
    with pytest.raises(ValueError, match=re.escape(shown)):
        parse_search("state:FAILURE retreis:>3")


def test_page_lists_the_aliases() -> None:
    page = PAGE.read_text("utf-8")
    for alias, name in ALIASES.items():
        assert f"`{alias}:` for `{name}:`" in page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
