"""Links in README.md, CHANGELOG.md and docs/: files and headings that they lead to exist."""

import re
from pathlib import Path

import pytest

from tests.helpers.paths import DOCS, ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]


def without_samples(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """The ids that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", without_samples(path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(path: Path) -> list[str]:
    targets = re.findall(r"\]\(([^)\s]+)\)", without_samples(path.read_text("utf-8")))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    broken = []
    for target in links(page):
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert not broken


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked = {target.partition("#")[0] for target in links(ROOT / "README.md")}
    assert {f"docs/{page.name}" for page in DOCS.glob("*.md")} <= linked


def test_terms_of_the_glossary_have_a_usual_name() -> None:
    sections = (DOCS / "glossary.md").read_text("utf-8").split("\n### ")[1:]
    assert len(sections) <= 25
    assert not [section.partition("\n")[0] for section in sections if "*Usual" not in section]


def test_named_files_of_the_repository_exist() -> None:
    named = {
        (page.name, path)
        for page in PAGES
        for path in re.findall(r"`((?:tests|bench|scripts|src|contrib)/[\w/.-]+)`", page.read_text("utf-8"))
    }
    assert not [(page, path) for page, path in named if not (ROOT / path).exists()]
