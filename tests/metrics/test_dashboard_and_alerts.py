"""The dashboard and the alerts use only metrics and labels that `/metrics` exposes."""

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser as promql
import pytest
import yaml

from flower.metrics.definitions import METRIC_FAMILIES
from tests.helpers.paths import ROOT

CONTRIB = ROOT / "contrib"
LABELS = {
    sample: {*family.labels, "instance", "job", *(["le"] if sample.endswith("_bucket") else [])}
    for family in METRIC_FAMILIES
    for sample in family.sample_names
}


def rules() -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load((CONTRIB / "prometheus/bellflower.rules.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def dashboard() -> dict[str, Any]:
    return dict(json.loads((CONTRIB / "grafana/bellflower.json").read_text()))


def panels() -> Iterator[tuple[str, str]]:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", target["expr"]


def selectors(node: Any) -> Iterator[Any]:
    """All vector selectors of an expression."""
    if isinstance(node, promql.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "param", "vs", "vector_selector"):
        child = getattr(node, name, None)
        if isinstance(child, promql.Expr):
            yield from selectors(child)
    for child in getattr(node, "args", None) or ():
        yield from selectors(child)


def groupings(node: Any) -> Iterator[tuple[set[str], Any]]:
    """The labels of each aggregation, with the aggregated expression."""
    if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
        yield set(node.modifier.labels), node.expr
    for name in ("expr", "lhs", "rhs"):
        child = getattr(node, name, None)
        if isinstance(child, promql.Expr):
            yield from groupings(child)
    for child in getattr(node, "args", None) or ():
        yield from groupings(child)


@pytest.mark.parametrize(("where", "expression"), [*rules(), *panels()], ids=lambda each: each[:40])
def test_queries_use_existing_metrics_and_labels(where: str, expression: str) -> None:
    # Grafana replaces this variable with a duration
    parsed = promql.parse(expression.replace("$__rate_interval", "5m"))
    vectors = list(selectors(parsed))
    assert vectors
    assert {each.name for each in vectors} <= LABELS.keys()
    assert len(vectors) == len(re.findall(r"\bflower_\w+", expression))
    for each in vectors:
        assert {matcher.name for matcher in each.matchers.matchers} <= LABELS[each.name]
    for labels, inside in groupings(parsed):
        for each in selectors(inside):
            assert labels <= LABELS[each.name], where


def test_event_types_are_those_of_celery() -> None:
    known = {"sent", "received", "started", "succeeded", "failed", "retried", "revoked", "rejected"}
    for _, expression in [*rules(), *panels()]:
        for kinds in re.findall(r'type=~?"([^"]*)"', expression):
            assert {kind.removeprefix("task-") for kind in kinds.split("|")} <= known


def test_alerts_are_complete() -> None:
    names = [name for name, _ in rules()]
    assert len(names) == len(set(names)) > 10
    for group in yaml.safe_load((CONTRIB / "prometheus/bellflower.rules.yml").read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("info", "warning", "critical")
            assert rule["annotations"].keys() == {"summary", "description"}


def test_dashboard_variables_use_existing_metrics() -> None:
    definition_file = dashboard()
    variables = {each["name"]: each.get("definition", "") for each in definition_file["templating"]["list"]}
    for name, definition in variables.items():
        if definition:
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", definition).groups()  # type: ignore[union-attr]
            assert label in LABELS[metric], name
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(definition_file["panels"])))
    assert used <= {*variables, "__rate_interval"}
    ids = [panel["id"] for panel in definition_file["panels"]]
    assert len(ids) == len(set(ids))
