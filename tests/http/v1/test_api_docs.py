"""`docs/api.md` is true. Run as a program, this writes its routes anew."""

import inspect
import json
import re
from typing import Any
from urllib.parse import quote

from flower.http.v1.action_routes import ALL_ACTION_ROUTES
from flower.http.v1.openapi_examples import example_response
from flower.http.v1.params import QueryParams
from flower.http.v1.parsing import describe_type, parameter_schemas
from flower.http.v1.route import ActionRoute
from flower.http.v1.routes import PREFIX, READ_ROUTES, ReadRoute
from tests.helpers.paths import DOCS

PAGE = DOCS / "api.md"
_PART = re.compile(r"(<!-- (routes|window|answers|deeds)\b.*?-->\n)(.*?)(<!-- end of \2 -->)", re.DOTALL)
COMMON = parameter_schemas(QueryParams)
#: Items of a list that the page shows of an answer.
SHOWN = 2


def routes() -> str:
    lines = ["| address | gives |", "| --- | --- |"]
    lines += [f"| [`{route.plain_path}`](#{anchor(route)}) | {route.summary} |" for route in READ_ROUTES]
    return "\n".join(lines) + "\n"


def anchor(route: ReadRoute) -> str:
    return route.name.lower()


def answers() -> str:
    return "\n".join(map(section, READ_ROUTES))


def section(route: ReadRoute) -> str:
    own = {name: schema for name, schema in parameter_schemas(route.params).items() if name not in COMMON}
    lines = [f"### {route.name}", "", f"`GET {PREFIX}{route.plain_path}`", "", f"{route.summary}.", ""]
    if len(own) < len(parameter_schemas(route.params)):
        lines += ["Takes the parameters of every question about many tasks" + ("." if not own else ", and:"), ""]
    if own:
        lines += [table(own), ""]
    address = quote(route.example, safe="/?&=:,.*@-")
    lines += ["```console", f"$ curl 'http://localhost:5555{PREFIX}/{address}'"]
    answer = example_response(route)
    if isinstance(answer, str):  # what a route streams
        lines += [*answer.splitlines(), "```", ""]
    else:
        lines += [json.dumps(shortened(answer), indent=2, ensure_ascii=False), "```", ""]
    return "\n".join(lines)


def deeds() -> str:
    lines = ["| request | does |", "| --- | --- |"]
    lines += [
        f"| [`{each.method} {each.plain_path}`](#{each.name.lower()}) | {each.summary} |" for each in ALL_ACTION_ROUTES
    ]
    return "\n".join([*lines, "", *map(deed, ALL_ACTION_ROUTES)])


def deed(action: ActionRoute) -> str:
    lines = [f"### {action.name}", "", f"`{action.method} {PREFIX}{action.plain_path}`", ""]
    lines += [f"{action.summary}. Needs the permission `{action.permission}`.", ""]
    for kind in (action.params, action.body):
        if kind is not None and (own := parameter_schemas(kind)):
            lines += [table(own).replace("| parameter |", "| in the body |") if kind is action.body else table(own), ""]
    if action.body is not None:
        lines += [(inspect.getdoc(action.body) or "").replace("\n", " "), ""] if action.body.__doc__ else []
        lines += ["```json", json.dumps(action.body_example, ensure_ascii=False), "```", ""]
    if action.response is not None:
        lines += ["The answer:", "", "```json", json.dumps(shortened(action.example), indent=2, ensure_ascii=False)]
        lines += ["```", ""]
    return "\n".join(lines)


def window() -> str:
    return table(COMMON) + "\n"


def table(parameters: dict[str, dict[str, Any]]) -> str:
    lines = ["| parameter | is | default |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {sentence(schema)} | {default(schema)} |" for name, schema in parameters.items()]
    return "\n".join(lines)


def sentence(schema: dict[str, Any]) -> str:
    values = describe_type(schema)
    return (schema.get("description", "") + (f" It is {values}." if values != "a text" else "")).strip()


def default(schema: dict[str, Any]) -> str:
    value = schema.get("default")
    if value in (None, "", []):
        return ""
    return f"`{','.join(value)}`" if isinstance(value, list) else f"`{json.dumps(value)}`"


def shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [*map(shortened, value[:SHOWN]), *(["…"] if len(value) > SHOWN else [])]
    return value


def with_parts(page: str) -> str:
    made = {"routes": routes, "window": window, "answers": answers, "deeds": deeds}
    return _PART.sub(lambda found: found[1] + made[found[2]]() + found[4], page)


def test_the_page_is_what_the_table_of_routes_says() -> None:
    page = PAGE.read_text("utf-8")
    assert len(_PART.findall(page)) == 4
    assert page == with_parts(page), f"run: python -m {__name__}"


if __name__ == "__main__":
    PAGE.write_text(with_parts(PAGE.read_text("utf-8")), "utf-8")
