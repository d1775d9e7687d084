"""docs/configuration.md: its tables are generated from the options, and its example is a valid file. Run as a program
to write the tables."""

import re
from pathlib import Path

from flower.config import OPTION_FIELDS, OPTION_GROUPS, OPTION_NAMES, OPTION_TYPES, default_text, load_config
from tests.helpers.paths import DOCS, ROOT

PAGE = DOCS / "configuration.md"
_TABLES = re.compile(r"(<!-- options -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def tables() -> str:
    lines: list[str] = []
    for name in OPTION_NAMES:
        if name in OPTION_GROUPS:
            lines += ["", f"## {OPTION_GROUPS[name]}", "", "| option | type | default | description |"]
            lines += ["| --- | --- | --- | --- |"]
        lines.append(f"| `{name}` | {OPTION_TYPES[name].label} | {default(name)} | {description(name)} |")
    return "\n".join([*lines, "", ""])


def default(name: str) -> str:
    text = default_text(name)
    return "" if text == "none" else f"`{text.replace(',', ', ') if len(text) > 40 else text}`"


def description(name: str) -> str:
    return str(OPTION_FIELDS[name].metadata["description"]).replace("|", "\\|")


def with_tables(page: str) -> str:
    return _TABLES.sub(lambda found: found[1] + tables() + found[3], page)


def test_tables_equal_the_options() -> None:
    page = PAGE.read_text("utf-8")
    assert page == with_tables(page), f"run: python -m {__name__}"
    assert set(OPTION_GROUPS) <= set(OPTION_NAMES)
    assert all(f"| `{name}` |" in page for name in OPTION_NAMES)


def test_example_is_a_valid_configuration_file(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (tmp_path / "flowerconfig.py").write_text(example)
    config = load_config({}, {}, tmp_path)
    assert (config.address, config.basic_auth, config.max_age) == ("0.0.0.0", ("ann:a, b: c",), 90 * 86400)
    assert config.format_task is not None


def test_documented_environment_variables_are_those_of_the_code() -> None:
    source = ROOT / "src" / "flower"
    code = "".join(path.read_text("utf-8") for path in source.rglob("*.py"))
    page = PAGE.read_text("utf-8")
    options = {f"FLOWER_{name.upper()}" for name in OPTION_NAMES}
    documented = set(re.findall(r"^\| `(FLOWER_\w+)`", page, re.MULTILINE))
    assert documented == set(re.findall(r"""["'](FLOWER_[A-Z0-9_]+)["']""", code)) - options


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
