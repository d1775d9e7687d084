#!/usr/bin/env python3
"""Check the names of modules and classes, and the module maps of packages. Print one line for each defect.

Rules:
1. The name of a module does not end in a participle (-ing, -ed), except the nouns of STANDARD_TERMS.
2. No two public classes have the same name, except those of DOCUMENTED.
3. A package whose docstring has a module map (lines `name  description`) lists exactly its modules.
4. The package map of docs/architecture.md lists exactly the entries of src/flower.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "flower"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
#: Nouns of the field that end so. `registered` is Celery's word for the tasks that a worker has loaded.
STANDARD_TERMS = frozenset(
    {
        "counting",
        "encoding",
        "escaping",
        "formatting",
        "masking",
        "parsing",
        "registered",
        "rendering",
        "routing",
        "sorting",
    }
)
#: The contract requires both: a typed dict in flower.utils.tasks and a handler in flower.api.tasks.
DOCUMENTED = frozenset({"TaskInfo"})
MAP_LINE = re.compile(r"^\s{0,8}([a-z_0-9]+)(?:\.py|/)?\s{2,}\S")


def modules() -> Iterator[Path]:
    yield from sorted(path for path in SOURCE.rglob("*.py") if "static" not in path.parts)


def name_complaints() -> Iterator[str]:
    for path in modules():
        word = path.stem.split("_")[-1]
        if re.search(r"(ing|ed)$", word) and word not in STANDARD_TERMS:
            yield f"{path.relative_to(ROOT)}:1: name the module after what it is; {path.stem!r} is a participle"


def class_complaints() -> Iterator[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for path in modules():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    for name, found in places.items():
        if len(found) > 1 and name not in DOCUMENTED:
            yield f"{found[-1]}: the class name {name} is used in {found[0]} as well"


def entries(package: Path) -> set[str]:
    return {
        path.stem
        for path in package.iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").is_file()
    }


def listed(text: str) -> set[str]:
    """The first words of the lines of a map, without suffix."""
    return {match.group(1) for line in text.splitlines() if (match := MAP_LINE.match(line))}


def package_complaints() -> Iterator[str]:
    for path in sorted(SOURCE.rglob("__init__.py")):
        names = listed(ast.get_docstring(ast.parse(path.read_text()), clean=True) or "")
        if names:
            yield from difference(f"{path.relative_to(ROOT)}:1", names, entries(path.parent))


def architecture_complaints() -> Iterator[str]:
    text = ARCHITECTURE.read_text()
    found = re.search(r"^    src/flower/\n((?:      .*\n)+)", text, re.MULTILINE)
    if found is None:
        yield f"{ARCHITECTURE.relative_to(ROOT)}:1: the package map, a block that begins with src/flower/, is missing"
        return
    names = {
        line.split()[0].removesuffix(".py").rstrip("/")
        for line in found.group(1).splitlines()
        if re.match(r" {6}\S", line)
    }
    yield from difference(f"{ARCHITECTURE.relative_to(ROOT)}:1", names, entries(SOURCE) - {"__main__"})


def difference(place: str, named: set[str], existing: set[str]) -> Iterator[str]:
    if named - existing:
        yield f"{place}: the module map names modules that do not exist: {', '.join(sorted(named - existing))}"
    if existing - named:
        yield f"{place}: the module map lacks {', '.join(sorted(existing - named))}"


def main() -> int:
    complaints = [*name_complaints(), *class_complaints(), *package_complaints(), *architecture_complaints()]
    print(*complaints, sep="\n") if complaints else print("names: clean")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
