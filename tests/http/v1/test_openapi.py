"""The OpenAPI document is valid, complete and true: every route returns its example, which matches its schema."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jsonschema
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from flower.api.json_encoder import dump_json
from flower.api.thread_pool import MAX_THREADS
from flower.http.v1 import openapi
from flower.http.v1.openapi import openapi_document
from flower.http.v1.parsing import parameter_schemas
from flower.http.v1.route import PREFIX, Route
from flower.http.v1.routes import ROUTES
from tests.helpers.servers import wait_for
from tests.helpers.web_server import WebServer

#: Routes whose example is a request that the example store can answer.
LIVE_ROUTES = [route for route in ROUTES if route.response is not None and isinstance(route.example, str)]


def validate(value: Any, schema: dict[str, Any]) -> None:
    """Against a schema of the document, including references."""
    jsonschema.Draft202012Validator({**schema, "components": openapi_document()["components"]}).validate(value)


def operation_of(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = openapi_document()["paths"][f"{PREFIX}{route.plain_path}"][route.method.lower()]
    return operation


def content_of(route: Route) -> dict[str, Any]:
    content: dict[str, Any] = operation_of(route)["responses"]["200"]["content"]["application/json"]
    return content


def test_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(openapi_document()).validate()


def test_document_contains_all_routes_and_parameters() -> None:
    paths = openapi_document()["paths"]
    assert list(paths) == list(dict.fromkeys(f"{PREFIX}{route.plain_path}" for route in ROUTES))
    for route in ROUTES:
        parameters = operation_of(route)["parameters"]
        assert {parameter["name"] for parameter in parameters} == set(parameter_schemas(route.params))
    names = [route.name for route in ROUTES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_examples_match_their_types(route: Route) -> None:
    if route.response is not None:
        example = content_of(route)["example"]
        assert json.loads(dump_json(msgspec.convert(example, route.response))) == example
        validate(example, content_of(route)["schema"])
    if route.body is not None:
        msgspec.convert(route.body_example, route.body)
        validate(route.body_example, operation_of(route)["requestBody"]["content"]["application/json"]["schema"])
    assert route.method == "GET" or route.audit_action, "every change is recorded in the audit log"


def test_every_parameter_has_a_description() -> None:
    for route in ROUTES:
        for name, schema in parameter_schemas(route.params).items():
            assert schema.get("description", "").endswith("."), (route.name, name)


@pytest.mark.parametrize("route", LIVE_ROUTES, ids=lambda route: route.name)
def test_example_is_the_response(route: Route, http: httpx.Client) -> None:
    response = http.get(f"{PREFIX}/{route.example}")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json; charset=UTF-8"
    assert response.json() == content_of(route)["example"]
    validate(response.json(), content_of(route)["schema"])


@pytest.mark.parametrize("route", LIVE_ROUTES, ids=lambda route: route.name)
def test_unknown_parameter_is_rejected(route: Route, http: httpx.Client) -> None:
    separator = "&" if "?" in str(route.example) else "?"
    response = http.get(f"{PREFIX}/{route.example}{separator}nonsense=1")
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "Unknown parameter 'nonsense'"
    validate(response.json(), {"$ref": "#/components/schemas/ErrorResponse"})


def test_error_examples_match_their_schema() -> None:
    for response in openapi_document()["components"]["responses"].values():
        content = response["content"]["application/json"]
        validate(content["example"], content["schema"])


def test_document_contains_the_root_of_the_server(http: httpx.Client) -> None:
    assert http.get(f"{PREFIX}/openapi.json").json() == openapi_document()
    assert openapi_document("/flower")["servers"] == [{"url": "/flower"}]


def test_other_requests_are_answered_while_the_document_is_built(
    live: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds, may_continue = [], threading.Event()

    def build(root: str) -> dict[str, Any]:
        builds.append(root)
        may_continue.wait(60)
        return openapi_document(root)

    monkeypatch.setattr(openapi, "openapi_document", build)
    monkeypatch.setattr(openapi, "_encoded", {})
    clients = 2 * MAX_THREADS
    with ThreadPoolExecutor(clients) as pool:
        try:
            documents = [pool.submit(live.http.get, f"{PREFIX}/openapi.json") for _ in range(clients)]
            wait_for("the requests", lambda: builds and len(live.connections) >= clients)
            pages = [live.http.get("/", timeout=10).status_code for _ in range(10)]
        finally:
            may_continue.set()
    assert pages == [200] * 10
    assert {each.result().status_code for each in documents} == {200}
    assert builds == [""]
