"""The generated parts of docs/api.md are up to date. Run as a program, this module writes them."""

import inspect
import json
import re
from typing import Any
from urllib.parse import quote

import msgspec

from flower.http.v1.openapi_examples import example_response
from flower.http.v1.params import QueryParams
from flower.http.v1.parsing import describe_type, parameter_schemas
from flower.http.v1.route import PREFIX, Route
from flower.http.v1.routes import ROUTES
from tests.helpers.paths import DOCS

PAGE = DOCS / "api.md"
_PART = re.compile(r"(<!-- (routes|window|reference)\b.*?-->\n)(.*?)(<!-- end of \2 -->)", re.DOTALL)
COMMON = parameter_schemas(QueryParams)
#: Items of a list that an example shows.
MAX_ITEMS = 2


def routes() -> str:
    """One table for each tag."""
    lines: list[str] = []
    for tag in dict.fromkeys(route.tag for route in ROUTES):
        lines += [f"**{tag.capitalize()}**", "", "| request | description |", "| --- | --- |"]
        lines += [
            f"| [`{route.method} {route.plain_path}`](#{route.name.lower()}) | {route.summary} |"
            for route in ROUTES
            if route.tag == tag
        ]
        lines.append("")
    return "\n".join(lines)


def reference() -> str:
    return "\n".join(map(section, ROUTES))


def section(route: Route) -> str:
    lines = [f"### {route.name}", "", f"`{route.method} {PREFIX}{route.plain_path}`", ""]
    lines += [f"{route.summary}. Requires the permission `{route.permission}`.", ""]
    schemas = parameter_schemas(route.params)
    selects_tasks = COMMON.keys() <= schemas.keys()
    own = {name: schema for name, schema in schemas.items() if not selects_tasks or name not in COMMON}
    if selects_tasks:
        lines += ["Accepts the [parameters that select tasks](#select-tasks)" + ("." if not own else ", and:"), ""]
    if own:
        lines += [table(own, "parameter"), ""]
    if route.body is not None:
        lines += body(route.body, route.body_example)
    if route.response is not None or route.events:
        lines += example(route)
    return "\n".join(lines)


def body(kind: type[msgspec.Struct], body_example: Any) -> list[str]:
    members = parameter_schemas(kind)
    lines = [table(members, "member of the body"), ""] if members else []
    if kind.__doc__:
        lines += [(inspect.getdoc(kind) or "").replace("\n", " "), ""]
    return [*lines, "```json", json.dumps(body_example, ensure_ascii=False), "```", ""]


def example(route: Route) -> list[str]:
    response = example_response(route)
    if not isinstance(route.example, str):
        return ["Response:", "", "```json", *formatted(response), "```", ""]
    url = quote(route.example, safe="/?&=:,.*@-")
    command = f"$ curl 'http://localhost:5555{PREFIX}/{url}'"
    content = response.splitlines() if isinstance(response, str) else formatted(response)
    return ["```console", command, *content, "```", ""]


def formatted(value: Any) -> list[str]:
    return json.dumps(shortened(value), indent=2, ensure_ascii=False).splitlines()


def window() -> str:
    return table(COMMON, "parameter") + "\n"


def table(schemas: dict[str, dict[str, Any]], heading: str) -> str:
    lines = [f"| {heading} | description | default |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {description(schema)} | {default(schema)} |" for name, schema in schemas.items()]
    return "\n".join(lines)


def description(schema: dict[str, Any]) -> str:
    values = describe_type(schema)
    return (schema.get("description", "") + (f" Must be {values}." if values != "text" else "")).strip()


def default(schema: dict[str, Any]) -> str:
    value = schema.get("default")
    if value in (None, "", []):
        return ""
    return f"`{','.join(value)}`" if isinstance(value, list) else f"`{json.dumps(value)}`"


def shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [*map(shortened, value[:MAX_ITEMS]), *(["…"] if len(value) > MAX_ITEMS else [])]
    return value


def with_generated_parts(page: str) -> str:
    parts = {"routes": routes, "window": window, "reference": reference}
    return _PART.sub(lambda match: match[1] + parts[match[2]]() + match[4], page)


def test_page_matches_the_table_of_routes() -> None:
    page = PAGE.read_text("utf-8")
    assert len(_PART.findall(page)) == 3
    assert page == with_generated_parts(page), "run: python -m tests.http.v1.test_api_docs"


if __name__ == "__main__":
    PAGE.write_text(with_generated_parts(PAGE.read_text("utf-8")), "utf-8")
