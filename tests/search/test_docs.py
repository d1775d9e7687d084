"""`docs/search.md` is true. Run as a program, this writes its table of fields anew."""

import re
from pathlib import Path

import pytest

from flower.search.fields import FIELDS
from flower.search.qualified import ALIASES
from flower.search.syntax import MAX_DEPTH, MAX_LENGTH, MAX_TOKENS, parse
from flower.search.tree import Term

PAGE = Path(__file__).parents[2] / "docs" / "search.md"
_TABLE = re.compile(r"(<!-- fields.*?-->\n)(.*?)(<!-- end of fields -->)", re.DOTALL)
_KINDS = {"text": "part", "word": "part", "id": "part", "state": "whole", "number": "exact", "time": "stretch"}


def table() -> str:
    lines = ["| field | is | compared | free | example |", "| --- | --- | --- | --- | --- |"]
    for field in FIELDS.values():
        free = "free" if field.free else ""
        lines.append(f"| `{field.name}` | {field.sentence} | {_KINDS[field.kind]} | {free} | `{field.example}` |")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    return _TABLE.sub(lambda found: found[1] + table() + found[3], page)


def test_the_table_of_fields_is_the_table_of_fields() -> None:
    page = PAGE.read_text("utf-8")
    assert page == with_table(page), f"run: python {Path(__file__).relative_to(PAGE.parents[1])}"


@pytest.mark.parametrize("field", FIELDS.values(), ids=lambda field: field.name)
def test_the_examples_of_the_fields_are_queries(field: object) -> None:
    term = parse(field.example)  # type: ignore[attr-defined]
    assert isinstance(term, Term)
    assert term.field == field.name  # type: ignore[attr-defined]


def _queries() -> list[str]:
    found = re.search(r"^```query\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert found
    return found[1].splitlines()


@pytest.mark.parametrize("query", _queries())
def test_the_queries_of_the_page_are_queries(query: str) -> None:
    assert parse(query)


def test_the_page_names_the_limits_and_aliases() -> None:
    page = PAGE.read_text("utf-8")
    assert all(str(limit) in page for limit in (MAX_DEPTH, MAX_LENGTH, MAX_TOKENS))
    for alias, name in ALIASES.items():
        assert f"`{alias}:` for `{name}:`" in page


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
