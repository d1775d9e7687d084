"""docs/architecture.md: the files that it names exist, and its package map is the directory."""

import re

import pytest

from tests.helpers.paths import DOCS, ROOT

SOURCE = ROOT / "src" / "flower"
PAGE = (DOCS / "architecture.md").read_text("utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


ANSWERS = re.findall(r"^\| (Where [^|]*\?) \| `([^`]+)` \|$", section("Where to find it"), re.MULTILINE)


def test_twenty_questions_have_answers() -> None:
    assert len(ANSWERS) >= 20
    assert len(ANSWERS) == section("Where to find it").count("| Where ")


@pytest.mark.parametrize(("question", "file"), ANSWERS, ids=[file for _, file in ANSWERS])
def test_the_answer_of_a_question_exists(question: str, file: str) -> None:
    assert (SOURCE / file).is_file(), question


def test_every_file_named_in_the_text_exists() -> None:
    missing = {
        name
        for name in re.findall(r"`([\w/]+\.(?:py|js))`", PAGE)
        if not any((SOURCE / base / name).is_file() for base in BASES) and not (ROOT / name).is_file()
    }
    assert not missing


#: Names in the text may leave out the package that its paragraph is about.
BASES = ("", "store/sqlite", "api/actions", "api/health")


def test_the_package_map_is_the_directory() -> None:
    (block,) = re.findall(r"^    src/flower/\n((?:      .*\n)+)", PAGE, re.MULTILINE)
    named = re.findall(r"^      (\S+)  +\S", block, re.MULTILINE)
    existing = {path.name for path in SOURCE.glob("*.py")} - {"__init__.py", "__main__.py"}
    existing |= {f"{path.parent.name}/" for path in SOURCE.glob("*/__init__.py")}
    assert len(named) == len(set(named)) == len(block.splitlines())
    assert set(named) == existing


def test_the_layers_of_the_page_are_those_of_the_import_rules() -> None:
    block = re.search(r"^    cli\n(?:    .+\n)+", section("Import rules"), re.MULTILINE)
    assert block is not None
    layers = [set(line.strip().split(" · ")) for line in block[0].splitlines()]
    rules = re.search(r"^layers = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert rules is not None
    names = [set(re.findall(r"\w+", line)) for line in re.findall(r'"([^"]+)"', rules[1])]
    assert layers == [layer for layer in names if layer != {"__main__"}]
