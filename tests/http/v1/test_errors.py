"""The shape of all errors, limits of parameters, and authentication."""

import httpx
import pytest

from flower.errors import DeadlineExceeded, StoreError
from flower.http.access_control import API_DISABLED
from flower.http.v1.openapi_examples import example_store
from flower.store.memory import MemoryReader
from flower.store.query_results import Count
from tests.helpers.api_v1 import ClientOf, error, get
from tests.helpers.web_server import WebServer


@pytest.mark.parametrize(
    ("address", "message", "hint"),
    [
        ("tasks?limit=1001", "Invalid limit '1001'", "limit must be an integer from 1 to 1000"),
        ("tasks?limit=x", "Invalid limit 'x'", "limit must be an integer from 1 to 1000"),
        ("tasks?offset=-1", "Invalid offset '-1'", "from 0 to"),
        ("tasks?limt=5", "Unknown parameter 'limt'", "did you mean limit"),
        ("tasks?limit=1&limit=2", "Parameter 'limit' is repeated", "commas"),
        ("tasks?sort=runtme", "Invalid sort 'runtme', expected one of", "did you mean runtime"),
        ("tasks?sort=--name", "Invalid sort '--name', expected one of", ""),
        ("tasks?start=soon", "Invalid start time: 'soon'", "2026-11-22"),
        ("tasks?tz=Mars", "Unknown time zone 'Mars'", "Europe/Berlin"),
        ("tasks?tz=../../etc/passwd", "Unknown time zone '../../etc/passwd'", "UTC"),
        ("tasks?time=never", "Invalid time 'never'", "time must be one of ended, received, sent"),
        ("tasks?uuid=17", "Unknown parameter 'uuid'", "query, start"),
        ("tasks/charge-17/reruns?uuid=17", "Unknown parameter 'uuid'", "this route has no query parameters"),
        ("facets?facets=state,colour", "Invalid facets 'state,colour'", "one or more of"),
        ("facets?facets=,", "Invalid facets ''", "one or more of"),
        ("stats?group_by=colour", "Unknown facet 'colour'", "time"),
        ("histogram?width=nan", "Invalid width 'nan'", "a number from 1 to"),
        ("waiting?unstarted_only=perhaps", "Invalid unstarted_only 'perhaps'", "true or false"),
    ],
)
def test_invalid_parameter(http: httpx.Client, address: str, message: str, hint: str) -> None:
    result = error(http, address)
    assert result["code"] == "invalid_request"
    assert result["message"].startswith(message)
    assert hint in result["hint"]


@pytest.mark.parametrize(
    "address", ["tasks", "count", "facets", "histogram", "stats", "failures", "slowest", "search/parse"]
)
def test_invalid_query(http: httpx.Client, address: str) -> None:
    result = error(http, address, query="  state:FAILURE OR")
    assert (result["code"], result["position"]) == ("invalid_query", 14)


def test_unknown_route(http: httpx.Client) -> None:
    result = error(http, "nothing", 404)
    assert (result["code"], result["hint"]) == ("not_found", "see /api/v1/docs")
    for response in (http.post("/api/v1/tasks"), http.delete("/api/v1/tasks/a")):
        assert response.status_code == 405
        assert response.json()["error"]["code"] == "method_not_allowed"
        assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_head_and_options(http: httpx.Client) -> None:
    head = http.head("/api/v1/tasks")
    assert (head.status_code, head.content) == (200, b"")
    assert http.options("/api/v1/tasks").status_code == 204


class Failing(MemoryReader):
    def __init__(self, raised: Exception) -> None:
        self._raised = raised

    def count_until_deadline(self, where: object = None) -> Count:
        raise self._raised


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (DeadlineExceeded("too long", hint="narrow it"), 504, "timeout"),
        (StoreError("the disk is gone"), 503, "store_unavailable"),
        (ZeroDivisionError("secret detail"), 500, "internal_error"),
    ],
)
def test_unexpected_error(client_of: ClientOf, raised: Exception, status: int, code: str) -> None:
    result = error(client_of(Failing(raised)), "count", status)
    assert result["code"] == code
    assert "secret" not in str(result)


def test_authentication(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLOWER_UNAUTHENTICATED_API", raising=False)
    with WebServer(example_store()) as live:
        result = error(live.http, "tasks", 401)
        assert (result["code"], result["message"]) == ("unauthenticated", API_DISABLED)
        # The document contains no data of the cluster.
        assert live.http.get("/api/v1/openapi.json").status_code == 200
    with WebServer(example_store(), basic_auth=("ann:secret",)) as live:
        for address in ("tasks", "openapi.json", "docs"):
            response = live.http.get(f"/api/v1/{address}")
            assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthenticated")
            assert response.headers["www-authenticate"] == 'Basic realm="flower"'
        assert live.http.get("/api/v1/tasks", auth=("ann", "secret")).status_code == 200


def test_under_a_prefix(opened: None) -> None:
    with WebServer(example_store(), url_prefix="flower") as live:
        assert live.http.get("/flower/api/v1/count").json()["count"] == 5
        assert live.http.get("/flower/api/v1/nothing").json()["error"]["code"] == "not_found"
        assert 'data-document="/flower/api/v1/openapi.json"' in live.http.get("/flower/api/v1/docs").text


def test_docs_page_is_part_of_the_package(http: httpx.Client) -> None:
    page = http.get("/api/v1/docs")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js", "LICENSE"):
        assert http.get(f"/static/swagger/{name}").status_code == 200


def test_parse_query(http: httpx.Client) -> None:
    result = get(http, "search/parse", query=' state:failure   -(name:a OR "b c") ')
    assert get(http, "search/parse", query=result["canonical"])["canonical"] == result["canonical"]
    assert {"name", "type", "description", "example"} <= result["fields"][0].keys()


def test_status(http: httpx.Client) -> None:
    result = get(http, "status")
    assert (result["store"]["task_count"], result["recording"], result["recorder"]["events"]) == (5, False, 18)
    assert result["gaps"][0]["reason"] == "not connected to Redis"


@pytest.mark.parametrize(
    "query", ["is:slow", "has:traceback", "kwargs.customer.id:7731", "runtime:100ms..2s", "received:<now"]
)
def test_search_language(http: httpx.Client, query: str) -> None:
    assert get(http, "count", query=query)["count"] >= (query != "is:slow")


def test_tokens_of_a_query(http: httpx.Client) -> None:
    tokens = get(http, "search/parse", query="-state:FAILURE mail")["tokens"]
    assert tokens == [
        {"start": 0, "end": 7, "kind": "field", "field": "state", "negated": True},
        {"start": 7, "end": 14, "kind": "value", "field": "state", "negated": True},
        {"start": 15, "end": 19, "kind": "text"},
    ]
    # Completions have tokens also for an invalid query.
    invalid = get(http, "search/completions", text="state:FAILURE OR (")
    assert [token["kind"] for token in invalid["tokens"]] == ["field", "value", "operator", "parenthesis"]


def test_token_without_user(http: httpx.Client) -> None:
    response = http.post("/api/v1/tokens", json={"name": "t", "permissions": ["view"]})
    assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthenticated")
