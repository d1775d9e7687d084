"""`docs/metrics.md`: its tables are generated from the definitions, its example is valid YAML. Run as a program, this
module updates the tables."""

import re
from itertools import groupby

import yaml

from flower.metrics.definitions import METRIC_FAMILIES, MetricFamily
from tests.helpers.paths import DOCS

PAGE = DOCS / "metrics.md"
_TABLES = re.compile(r"(<!-- metrics -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def tables() -> str:
    lines: list[str] = []
    for group, families in groupby(METRIC_FAMILIES, lambda family: family.group):
        lines += ["", f"### {group}", "", "| metric | type | labels | |", "| --- | --- | --- | --- |"]
        lines += [
            f"| `{_name(family)}` | {family.kind} | {', '.join(family.labels)} | {family.help} |" for family in families
        ]
    return "\n".join([*lines, "", ""])


def _name(family: MetricFamily) -> str:
    return f"{family.name}_total" if family.kind == "counter" else family.name


def with_tables(page: str) -> str:
    return _TABLES.sub(lambda match: match[1] + tables() + match[3], page)


def test_the_tables_match_the_definitions() -> None:
    page = PAGE.read_text("utf-8")
    assert page == with_tables(page), f"run: python -m {__name__}"
    assert all(_name(family) in page for family in METRIC_FAMILIES)


def test_the_example_is_a_prometheus_configuration() -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    config = yaml.safe_load(example)
    assert config["scrape_configs"][0]["authorization"] == {"credentials": "SECRET"}
    assert (PAGE.parents[1] / "contrib/prometheus" / config["rule_files"][0]).exists()


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
