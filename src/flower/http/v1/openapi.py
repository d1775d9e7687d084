"""The OpenAPI 3.1 document, made of the table of routes and of the types in it. The examples are real answers: those of
a small store of examples."""

import json
from functools import cache
from typing import Any, TypeAlias

import msgspec

from flower import __version__
from flower.http.responses import STATUS_BY_CODE
from flower.http.v1.action_routes import ALL_ACTION_ROUTES
from flower.http.v1.openapi_examples import example_response
from flower.http.v1.parsing import parameter_schemas
from flower.http.v1.route import ActionRoute
from flower.http.v1.routes import PREFIX, READ_ROUTES, ReadRoute
from flower.http.v1.schemas import Error, ErrorResponse

Json: TypeAlias = dict[str, Any]

ALL_ROUTES: tuple[ReadRoute | ActionRoute, ...] = (*READ_ROUTES, *ALL_ACTION_ROUTES)

_REF = "#/components/schemas/{name}"

#: The errors that any route may answer: a name, its code, and an example.
ERROR_RESPONSES: dict[str, tuple[str, Error]] = {
    "Invalid": (
        "The query or a parameter makes no sense; `position` says where in the query.",
        Error("invalid_search", "OR must be followed by a search term at position 14.", "", 14),
    ),
    "Unauthorized": (
        "A login is needed, or the API is not opened.",
        Error("unauthorized", "Access denied"),
    ),
    "Forbidden": (
        "You may not do this, or it is refused, by the worker for instance.",
        Error("forbidden", "You may not do this", "it needs the permission 'tasks'"),
    ),
    "TooMany": (
        "Too many logins failed; `Retry-After` says how many seconds to wait.",
        Error("too_many", "Too many failed logins: try again in 120 seconds"),
    ),
    "NotFound": (
        "There is no such thing.",
        Error("no_such_task", "Unknown task '17'", "no such task was recorded"),
    ),
    "Broken": (
        "An error of the server, which is in its log.",
        Error("error", "Something went wrong here", "the server's log says more"),
    ),
    "Unavailable": (
        "The store cannot be read.",
        Error("store", "The store cannot be read"),
    ),
    "Timeout": (
        "There was no answer in time.",
        Error("timeout", "The answer took longer than 10 s", "narrow the query, for instance by received:>-1h"),
    ),
}


@cache
def openapi_document(root: str = "") -> Json:
    """`root` is the path that the server is mounted at, without the slash at its end."""
    answers = [route.response for route in READ_ROUTES if route.response is not None]
    answers += [kind for route in READ_ROUTES for kind in route.events.values()]
    acted = [kind for action in ALL_ACTION_ROUTES for kind in (action.response, action.body) if kind is not None]
    _, components = msgspec.json.schema_components([*answers, *acted, ErrorResponse], ref_template=_REF)
    made = {
        "openapi": "3.1.0",
        "info": {
            "title": "Bellflower",
            "version": __version__,
            "summary": "Everything that can be asked of the recorded tasks.",
            "description": _DESCRIPTION,
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "servers": [{"url": root or "/"}],
        "security": [{"login": []}, {"token": []}, {}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in ALL_ROUTES)],
        "paths": _paths(),
        "components": {
            "schemas": components,
            "responses": {name: _error_response(*error) for name, error in ERROR_RESPONSES.items()},
            "securitySchemes": {
                "login": {"type": "http", "scheme": "basic"},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
    }
    # By way of text: defaults of the types that are tuples become lists.
    found: Json = json.loads(msgspec.json.encode(made))
    return found


_DESCRIPTION = """\
Times are epoch seconds, durations seconds. A query is a text of the search language; nothing is everything. `partial`
in an answer says, in a sentence, that the time limit came first and what would narrow the question; what was found
until then is given. Errors all have one shape, with a stable `code`. Unknown parameters are refused.

Without a login configured the API answers only if the environment variable `FLOWER_UNAUTHENTICATED_API` opens it.
"""


def _paths() -> Json:
    paths: Json = {}
    for route in ALL_ROUTES:
        method = route.method.lower() if isinstance(route, ActionRoute) else "get"
        paths.setdefault(f"{PREFIX}{route.plain_path}", {})[method] = _operation(route)
    return paths


def _operation(route: ReadRoute | ActionRoute) -> Json:
    operation = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [_parameter(route, name, schema) for name, schema in parameter_schemas(route.params).items()],
        "responses": {
            "200": {"description": route.summary, "content": _response_content(route)},
            **{
                str(STATUS_BY_CODE[problem.code]): {"$ref": f"#/components/responses/{name}"}
                for name, problem in _error_names()
            },
        },
    }
    if isinstance(route, ReadRoute) and route.events:
        operation["description"] = _event_descriptions(route)
    if isinstance(route, ActionRoute):
        operation["description"] = f"Needs the permission `{route.permission}`."
        if route.body is not None:
            schema = {"$ref": _REF.format(name=route.body.__name__)}
            content = {"application/json": {"schema": schema, "example": route.body_example}}
            operation["requestBody"] = {"required": True, "content": content}
    return operation


def _event_descriptions(route: ReadRoute) -> str:
    """In words, for OpenAPI has none for what comes in a stream."""
    lines = [
        f"- `{name}`: the schema `{kind.__name__}`. {' '.join((kind.__doc__ or '').split())}"
        for name, kind in route.events.items()
    ]
    return "\n".join(["The events, each with a line of JSON as its data:", "", *lines])


def _error_names() -> list[tuple[str, Error]]:
    return [(name, problem) for name, (_, problem) in ERROR_RESPONSES.items()]


def _response_content(route: ReadRoute | ActionRoute) -> Json:
    if route.response is None:
        if isinstance(route, ReadRoute) and route.events:
            return {media_type: {"example": example_response(route)} for media_type in route.media_types}
        return {media_type: {} for media_type in route.media_types}
    schema = {"$ref": _REF.format(name=route.response.__name__)}
    example = route.example if isinstance(route, ActionRoute) else example_response(route)
    return {"application/json": {"schema": schema, "example": example}}


def _parameter(route: ReadRoute | ActionRoute, name: str, schema: Json) -> Json:
    in_path = f"{{{name}}}" in route.plain_path
    own = {key: value for key, value in schema.items() if key not in ("description", "examples")}
    if own.get("default") in ("", []):  # as if it were not given
        del own["default"]
    parameter = {
        "name": name,
        "in": "path" if in_path else "query",
        "required": in_path,
        "description": schema.get("description", ""),
        "schema": own,
    }
    if own.get("type") == "array":
        parameter |= {"style": "form", "explode": False}
    if "examples" in schema:
        example = schema["examples"][0]
        if in_path:
            parameter["example"] = example
        else:  # in words: viewers put an `example` into the form, and so would ask for it
            parameter["description"] += f" Example: `{example}`."
    return parameter


def _error_response(sentence: str, problem: Error) -> Json:
    schema = {"$ref": _REF.format(name=ErrorResponse.__name__)}
    example = msgspec.to_builtins(ErrorResponse(problem))
    return {"description": sentence, "content": {"application/json": {"schema": schema, "example": example}}}
