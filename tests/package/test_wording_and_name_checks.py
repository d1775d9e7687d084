"""The checks of wording and names that `make lint` runs: each reports a defect with its place and its remedy."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def texts() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "check_texts.py")))


@pytest.fixture
def names() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "check_names.py")))


def complaints(texts: SimpleNamespace, path: str, source: str) -> list[str]:
    words = texts.read_words((ROOT / texts.STYLE).read_text())
    return list(texts.check_file(path, source, texts.compile_pattern(words), words))


@pytest.mark.parametrize(
    ("path", "source", "line"),
    [
        ("a.py", '"""The worker is told to stop."""\n', 1),
        ("a.py", 'x = 1\n"""Two lines,\nand nobody reads them."""\n', 3),
        ("a.py", "x = 1  # whoever calls this\n", 1),
        ("a.py", "raise ValueError('It says no')\n", 1),
        ("a.md", "# Title\n\nThe index is begun anew.\n", 3),
        ("a.js", "// a person who\nconst text = 'Nobody is signed in';\n", 2),
        ("a.css", "/* the colour of ours */\n", 1),
    ],
)
def test_a_word_of_the_list_is_reported_with_its_line_and_the_plain_words(
    texts: SimpleNamespace, path: str, source: str, line: int
) -> None:
    (found,) = complaints(texts, path, source)
    assert found.startswith(f"{path}:{line}: ")
    assert ": write " in found


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("a.py", 'status = {"told": 1}\nasked = told = 2\n'),
        ("a.py", '"""A stopped worker is offline."""\n'),
        ("a.py", "text = 'he said so'  # wording: quoted\n"),
        ("a.py", "assert text == \"Unknown task 'nobody'\" or 'the task shop.nobody' in text\n"),
        ("a.md", "    nobody in a sample\n\n```\ntold\n```\n\nThe option `said`.\n"),
    ],
)
def test_code_and_quotations_are_not_searched(texts: SimpleNamespace, path: str, source: str) -> None:
    assert complaints(texts, path, source) == []


def test_the_list_of_words_comes_from_the_style_guide(texts: SimpleNamespace) -> None:
    words = texts.read_words("| Do not write | Write |\n| --- | --- |\n| `for ever`, `Anew` | forever; again |\n")
    assert words == {"for ever": "forever; again", "anew": "forever; again"}


def test_a_module_map_that_differs_from_its_directory_is_reported(names: SimpleNamespace) -> None:
    found = list(names.difference("a/__init__.py:1", {"reader", "order"}, {"reader", "writer"}))
    assert found == [
        "a/__init__.py:1: the module map names modules that do not exist: order",
        "a/__init__.py:1: the module map lacks writer",
    ]


def test_two_public_classes_of_one_name_and_participles_are_reported(
    names: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "src" / "flower"
    source.mkdir(parents=True)
    (source / "one.py").write_text("class Cache: ...\nclass _Private: ...\n")
    (source / "asking.py").write_text("class Cache: ...\nclass _Private: ...\n")
    for check in (names.class_complaints, names.name_complaints):
        monkeypatch.setitem(check.__globals__, "ROOT", tmp_path)
        monkeypatch.setitem(check.__globals__, "SOURCE", source)
    (clash,) = names.class_complaints()
    assert clash.startswith("src/flower/one.py:1: the class name Cache")
    assert "src/flower/asking.py:1" in clash
    (participle,) = names.name_complaints()
    assert participle.startswith("src/flower/asking.py:1:")


def test_the_checks_pass(texts: SimpleNamespace, names: SimpleNamespace) -> None:
    assert texts.main() == 0
    assert names.main() == 0
