"""The OpenAPI document is one, is complete, and tells the truth: every route answers its example as it says."""

import json
from typing import Any

import httpx
import jsonschema
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from flower.api.json_encoder import dump_json
from flower.http.v1.action_routes import ALL_ACTION_ROUTES
from flower.http.v1.openapi import ALL_ROUTES, openapi_document
from flower.http.v1.parsing import parameter_schemas
from flower.http.v1.route import ActionRoute
from flower.http.v1.routes import PREFIX, READ_ROUTES, ReadRoute

JSON_ROUTES = [route for route in READ_ROUTES if route.response is not None]


def check(answer: Any, schema: dict[str, Any]) -> None:
    """Against a schema of the document, references and all."""
    jsonschema.Draft202012Validator({**schema, "components": openapi_document()["components"]}).validate(answer)


def method_of(route: ReadRoute | ActionRoute) -> str:
    return route.method.lower() if isinstance(route, ActionRoute) else "get"


def described(route: ReadRoute, status: str = "200") -> dict[str, Any]:
    operation = openapi_document()["paths"][f"{PREFIX}{route.plain_path}"]["get"]
    found: dict[str, Any] = operation["responses"][status]
    return found


def test_it_is_openapi() -> None:
    OpenAPIV31SpecValidator(openapi_document()).validate()


def test_every_route_is_in_it_with_all_its_parameters() -> None:
    paths = openapi_document()["paths"]
    assert list(paths) == list(dict.fromkeys(f"{PREFIX}{route.plain_path}" for route in ALL_ROUTES))
    for route in ALL_ROUTES:
        operation = paths[f"{PREFIX}{route.plain_path}"][method_of(route)]
        assert {parameter["name"] for parameter in operation["parameters"]} == set(parameter_schemas(route.params))
    ids = [route.name for route in ALL_ROUTES]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("action", ALL_ACTION_ROUTES, ids=lambda action: action.name)
def test_the_examples_of_an_action_are_of_its_types(action: ActionRoute) -> None:
    operation = openapi_document()["paths"][f"{PREFIX}{action.plain_path}"][method_of(action)]
    if action.response is not None:
        assert json.loads(dump_json(msgspec.convert(action.example, action.response))) == action.example
        check(action.example, operation["responses"]["200"]["content"]["application/json"]["schema"])
    if action.body is not None:
        msgspec.convert(action.body_example, action.body)
        check(action.body_example, operation["requestBody"]["content"]["application/json"]["schema"])
    assert action.method == "GET" or action.audit_action, "what changes something is noted"


def test_every_parameter_has_a_sentence() -> None:
    for route in ALL_ROUTES:
        for name, schema in parameter_schemas(route.params).items():
            assert schema.get("description", "").endswith("."), (route.name, name)


@pytest.mark.parametrize("route", JSON_ROUTES, ids=lambda route: route.name)
def test_the_example_is_the_answer(route: ReadRoute, http: httpx.Client) -> None:
    answer = http.get(f"{PREFIX}/{route.example}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    content = described(route)["content"]["application/json"]
    assert answer.json() == content["example"]
    check(answer.json(), content["schema"])


@pytest.mark.parametrize("route", JSON_ROUTES, ids=lambda route: route.name)
def test_an_unknown_parameter_is_refused(route: ReadRoute, http: httpx.Client) -> None:
    address = f"{PREFIX}/{route.example}{'&' if '?' in route.example else '?'}nonsense=1"
    answer = http.get(address)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "There is no parameter 'nonsense' here"
    check(answer.json(), {"$ref": "#/components/schemas/ErrorAnswer"})


def test_the_error_answers_are_examples_of_their_schema() -> None:
    for response in openapi_document()["components"]["responses"].values():
        content = response["content"]["application/json"]
        check(content["example"], content["schema"])


def test_it_is_served_where_the_server_is_mounted(http: httpx.Client) -> None:
    assert http.get(f"{PREFIX}/openapi.json").json() == openapi_document()
    assert openapi_document("/flower")["servers"] == [{"url": "/flower"}]
