"""One shape of error, whoever raises it; limits and guards."""

import httpx
import pytest

from flower.errors import DeadlineExceeded, StoreError
from flower.http.access_control import API_DISABLED
from flower.http.v1.openapi_examples import example_store
from flower.store.memory import MemoryReader
from flower.store.query_results import Count
from tests.helpers.api_v1 import ClientOf, error, get
from tests.helpers.web_server import Live


@pytest.mark.parametrize(
    ("address", "message", "hint"),
    [
        ("tasks?limit=1001", "'1001' is not possible for limit", "it is a whole number from 1 to 1000"),
        ("tasks?limit=x", "'x' is not possible for limit", "it is a whole number from 1 to 1000"),
        ("tasks?offset=-1", "'-1' is not possible for offset", "from 0 to"),
        ("tasks?limt=5", "There is no parameter 'limt' here", "did you mean limit"),
        ("tasks?limit=1&limit=2", "The parameter 'limit' is given twice", "commas"),
        ("tasks?sort=runtme", "Tasks cannot be sorted by 'runtme'", "did you mean runtime"),
        ("tasks?sort=--name", "Tasks cannot be sorted by '-name'", "did you mean name"),
        ("tasks?start=soon", "'soon' is not a time for start", "2026-11-22"),
        ("tasks?tz=Mars", "There is no time zone 'Mars'", "Europe/Berlin"),
        ("tasks?tz=../../etc/passwd", "There is no time zone '../../etc/passwd'", "UTC"),
        ("tasks?time=never", "'never' is not possible for time", "one of received, sent"),
        ("tasks?uuid=17", "There is no parameter 'uuid' here", "there are"),
        ("tasks/charge-17?uuid=17", "There is no parameter 'uuid' here", "this address takes none"),
        ("facets?facets=state,colour", "'state,colour' is not possible for facets", "one or more of"),
        ("facets?facets=,", "'' is not possible for facets", "one or more of"),
        ("stats?by=colour", "Tasks cannot be grouped by 'colour'", "time"),
        ("histogram?width=nan", "'nan' is not possible for width", "a number from 1 to"),
        ("waiting?still=perhaps", "'perhaps' is not possible for still", "true or false"),
    ],
)
def test_what_cannot_be_asked(http: httpx.Client, address: str, message: str, hint: str) -> None:
    found = error(http, address)
    assert found["code"] == "invalid"
    assert found["message"] == message
    assert hint in found["hint"]


@pytest.mark.parametrize("address", ["tasks", "count", "facets", "histogram", "stats", "failures", "slowest", "search"])
def test_a_query_that_cannot_be_read(http: httpx.Client, address: str) -> None:
    found = error(http, address, query="  state:FAILURE OR")
    assert (found["code"], found["position"]) == ("invalid_search", 14)


def test_nothing_there(http: httpx.Client) -> None:
    found = error(http, "nothing", 404)
    assert (found["code"], found["hint"]) == ("not_found", "/api/v1/docs shows what there is")
    for answer in (http.post("/api/v1/tasks"), http.delete("/api/v1/tasks/a")):
        assert answer.status_code == 405
        assert answer.json()["error"]["code"] == "method_not_allowed"
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_head_and_options(http: httpx.Client) -> None:
    head = http.head("/api/v1/tasks")
    assert (head.status_code, head.content) == (200, b"")
    assert http.options("/api/v1/tasks").status_code == 204


class Failing(MemoryReader):
    def __init__(self, raised: Exception) -> None:
        self._raised = raised

    def counted(self, where: object = None) -> Count:
        raise self._raised


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (DeadlineExceeded("too long", hint="narrow it"), 504, "timeout"),
        (StoreError("the disk is gone"), 503, "store"),
        (ZeroDivisionError("secret detail"), 500, "error"),
    ],
)
def test_what_breaks(client_of: ClientOf, raised: Exception, status: int, code: str) -> None:
    found = error(client_of(Failing(raised)), "count", status)
    assert found["code"] == code
    assert "secret" not in str(found)


def test_the_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLOWER_UNAUTHENTICATED_API", raising=False)
    with Live(example_store()) as live:
        found = error(live.http, "tasks", 401)
        assert (found["code"], found["message"]) == ("unauthorized", API_DISABLED)
        # the document tells nothing of the cluster
        assert live.http.get("/api/v1/openapi.json").status_code == 200
    with Live(example_store(), basic_auth=("ann:secret",)) as live:
        for address in ("tasks", "openapi.json", "docs"):
            answer = live.http.get(f"/api/v1/{address}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == 'Basic realm="flower"'
        assert live.http.get("/api/v1/tasks", auth=("ann", "secret")).status_code == 200


def test_under_a_prefix(opened: None) -> None:
    with Live(example_store(), url_prefix="flower") as live:
        assert live.http.get("/flower/api/v1/count").json()["count"] == 5
        assert live.http.get("/flower/api/v1/nothing").json()["error"]["code"] == "not_found"
        assert 'data-document="/flower/api/v1/openapi.json"' in live.http.get("/flower/api/v1/docs").text


def test_the_viewer_comes_along(http: httpx.Client) -> None:
    page = http.get("/api/v1/docs")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js", "LICENSE"):
        assert http.get(f"/static/swagger/{name}").status_code == 200


def test_explaining(http: httpx.Client) -> None:
    found = get(http, "search", query=' state:failure   -(name:a OR "b c") ')
    assert get(http, "search", query=found["canonical"])["canonical"] == found["canonical"]
    assert {"name", "kind", "sentence", "example"} <= found["fields"][0].keys()


def test_status(http: httpx.Client) -> None:
    found = get(http, "status")
    assert (found["store"]["tasks"], found["recording"], found["recorder"]["events"]) == (5, False, 18)
    assert found["gaps"][0]["reason"] == "the broker was away"


@pytest.mark.parametrize(
    "query", ["is:slow", "has:traceback", "kwargs.customer.id:7731", "runtime:100ms..2s", "received:<now"]
)
def test_the_language_is_there(http: httpx.Client, query: str) -> None:
    assert get(http, "count", query=query)["count"] >= (query != "is:slow")
