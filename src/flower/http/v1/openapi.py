"""The OpenAPI 3.1 document, generated from the table of routes and the types in it. Examples are responses of the
handlers on a small example store."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

import msgspec

from flower import __version__
from flower.api.json_encoder import dump_json
from flower.http.responses import OK, STATUS_BY_CODE
from flower.http.v1.openapi_examples import example_response
from flower.http.v1.parsing import parameter_schemas
from flower.http.v1.route import PREFIX, Route
from flower.http.v1.routes import ROUTES
from flower.http.v1.schemas import Error, ErrorResponse

Json: TypeAlias = dict[str, Any]

_REF = "#/components/schemas/{name}"

#: Errors of every route: a name, a description and an example.
ERROR_RESPONSES: dict[str, tuple[str, Error]] = {
    "InvalidRequest": (
        "The query, a parameter or the body is invalid; `position` is the index of the error in the query.",
        Error("invalid_query", "OR must be followed by a search term at position 14.", "", 14),
    ),
    "Unauthenticated": (
        "Not signed in, or the API is not enabled without a login.",
        Error("unauthenticated", "Access denied"),
    ),
    "Forbidden": (
        "The permission is missing, or the server or a worker rejected the request.",
        Error("forbidden", "Permission 'tasks' is required"),
    ),
    "TooManyRequests": (
        "Too many failed sign-ins, or too many open streams of one user or address; the header `Retry-After` contains "
        "the number of seconds to wait.",
        Error("too_many_requests", "Too many failed sign-ins: try again in 120 seconds"),
    ),
    "NotFound": (
        "The resource does not exist.",
        Error("task_not_found", "Unknown task '17'", "no task with this id is recorded"),
    ),
    "InternalError": (
        "Internal error; the server's log contains the details.",
        Error("internal_error", "Internal server error", "see the server's log"),
    ),
    "Unavailable": (
        "The store, the broker or the result backend is unavailable.",
        Error("store_unavailable", "The store cannot be read"),
    ),
    "Timeout": (
        "The time limit was reached.",
        Error("timeout", "The query took longer than 10 s", "narrow it, for instance by received:>-1h"),
    ),
}

_DESCRIPTION = """\
Times are epoch seconds, durations are seconds, and `null` is an unknown value. `query` is a query of the search
language; an empty query matches all tasks. If a time limit was reached, `partial` explains it. A list is paged by
`limit` and `cursor`; `next_cursor` is null on the last page. All errors have the same shape, with a stable `code`.
Unknown parameters are rejected.

If no login is configured, the API is enabled by the environment variable `FLOWER_UNAUTHENTICATED_API`.
"""


#: The document as JSON, by root.
_encoded: dict[str, bytes] = {}


def encoded_document(root: str) -> bytes | None:
    """The document as JSON; None before `encode_document`."""
    return _encoded.get(root)


def encode_document(root: str) -> bytes:
    if root not in _encoded:
        _encoded[root] = dump_json(openapi_document(root))
    return _encoded[root]


@cache
def openapi_document(root: str = "") -> Json:
    """`root` is the path at which the server is mounted, without the trailing slash."""
    structs = [
        struct
        for route in ROUTES
        for struct in (route.response, route.body, *route.events.values())
        if struct is not None
    ]
    _, components = msgspec.json.schema_components([*structs, ErrorResponse], ref_template=_REF)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Bellflower",
            "version": __version__,
            "summary": "Query recorded Celery tasks and control tasks and workers.",
            "description": _DESCRIPTION,
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "servers": [{"url": root or "/"}],
        "security": [{"basic": []}, {"token": []}, {}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in ROUTES)],
        "paths": _paths(ROUTES),
        "components": {
            "schemas": components,
            "responses": {name: _error_response(*error) for name, error in ERROR_RESPONSES.items()},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
    }
    # Through JSON text: defaults that are tuples become lists.
    decoded: Json = json.loads(msgspec.json.encode(document))
    return decoded


def _paths(routes: Sequence[Route]) -> Json:
    paths: Json = {}
    for route in routes:
        paths.setdefault(f"{PREFIX}{route.plain_path}", {})[route.method.lower()] = _operation(route)
    return paths


def _operation(route: Route) -> Json:
    operation = {
        "operationId": route.name,
        "summary": route.summary,
        "description": _operation_description(route),
        "tags": [route.tag],
        "parameters": [_parameter(route, name, schema) for name, schema in parameter_schemas(route.params).items()],
        "responses": {
            str(OK): {"description": route.summary, "content": _response_content(route)},
            **{
                str(STATUS_BY_CODE[error.code]): {"$ref": f"#/components/responses/{name}"}
                for name, (_, error) in ERROR_RESPONSES.items()
            },
        },
    }
    if route.body is not None:
        schema = {"$ref": _REF.format(name=route.body.__name__)}
        content = {"application/json": {"schema": schema, "example": route.body_example}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _operation_description(route: Route) -> str:
    """The permission, and the events of a stream: OpenAPI has no notation for them."""
    lines = [f"Requires the permission `{route.permission}`."]
    if route.events:
        lines += ["", "Events, each with one line of JSON as its data:", ""]
        lines += [
            f"- `{name}`: schema `{kind.__name__}`. {' '.join((kind.__doc__ or '').split())}"
            for name, kind in route.events.items()
        ]
    return "\n".join(lines)


def _response_content(route: Route) -> Json:
    if route.response is not None:
        schema = {"$ref": _REF.format(name=route.response.__name__)}
        return {"application/json": {"schema": schema, "example": example_response(route)}}
    if route.events:
        return {media_type: {"example": example_response(route)} for media_type in route.media_types}
    return {media_type: {} for media_type in route.media_types}


def _parameter(route: Route, name: str, schema: Json) -> Json:
    in_path = f"{{{name}}}" in route.plain_path
    own = {key: value for key, value in schema.items() if key not in ("description", "examples")}
    if own.get("default") in ("", []):  # the same as no value
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
        else:  # as text: Swagger UI enters an `example` into the form, and so would send it
            parameter["description"] += f" Example: `{example}`."
    return parameter


def _error_response(description: str, error: Error) -> Json:
    schema = {"$ref": _REF.format(name=ErrorResponse.__name__)}
    example = msgspec.to_builtins(ErrorResponse(error))
    return {"description": description, "content": {"application/json": {"schema": schema, "example": example}}}
