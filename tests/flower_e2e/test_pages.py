"""2 routes and headers (the part that is not about launching), 8.2 and 8.3 the pages of tasks."""

import re
from html import unescape
from pathlib import Path

import httpx
import pytest

from tests.flower_e2e.conftest import Ran, watching
from tests.helpers.clusters import Cluster
from tests.helpers.compat_site import Kind, Site


def page(site: Site, path: str, status: int = 200) -> str:
    answer = site.http.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].lower() == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    return unescape(answer.text)


def title(text: str) -> str:
    found = re.search(r"<title>(.*?)</title>", text, re.S)
    assert found
    return " ".join(found[1].split())


def test_the_tasks_page(site: Site) -> None:
    assert title(page(site, "/tasks")).startswith("Tasks · ")


def test_the_task_page(site: Site, ran: Ran) -> None:
    text = page(site, f"/task/{ran.failed}")
    assert title(text).startswith(f"shop.fail {ran.failed[:8]} · ")
    if not site.is_flower:  # its modules show what they read
        text = site.http.get(f"/api/v1/tasks/{ran.failed}").text
    for shown in (ran.failed, "card declined", "Traceback (most recent call last)", "ValueError"):
        assert shown in text


def test_an_unknown_task(site: Site) -> None:
    assert "Unknown task 'nobody'" in page(site, "/task/nobody", 404)


def test_hostile_ids(site: Site) -> None:
    answer = site.http.get("/task/%3Cscript%3Ealert(1)%3C%2Fscript%3E%2Fa")
    assert answer.status_code == 404
    assert "<script>alert(1)" not in answer.text


def test_healthcheck(site: Site) -> None:
    answer = site.http.get("/healthcheck")
    assert (answer.status_code, answer.text) == (200, "OK")
    assert answer.headers["content-type"].startswith("text/html")


def test_a_page_that_there_is_not(site: Site) -> None:
    page(site, "/nothing", 404)
    page(site, "/tasks/", 404)


@pytest.mark.parametrize("path", ["/tasks", "/api/tasks", "/nothing"])
def test_options(site: Site, path: str) -> None:
    answer = site.http.options(path)
    assert (answer.status_code, answer.text) == (204, "")


def test_methods_that_are_not_allowed(site: Site) -> None:
    assert (site.http.put("/api/tasks").status_code, site.http.put("/api/tasks").text) == (405, "")
    assert site.http.delete("/tasks").status_code == 405


def test_other_pages_may_ask_once_the_api_is_open(site: Site) -> None:
    for path in ("/api/tasks", "/tasks"):
        headers = site.http.get(path).headers
        assert headers["access-control-allow-origin"] == "*"
        assert headers["access-control-allow-methods"] == "PUT, DELETE, OPTIONS, POST, GET, PATCH"
        assert headers["access-control-allow-headers"] == (
            "x-requested-with,access-control-allow-origin,authorization,content-type"
        )


def test_static_files_have_a_version(site: Site) -> None:
    pattern = r'href="(/static/[^"]+\.css\?v=\w+)"' if site.is_flower else r'href="(/static/ui/\w{12}/[^"]+\.css)"'
    found = re.search(pattern, page(site, "/tasks"))
    assert found
    answer = site.http.get(found[1])
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")
    assert site.http.head(found[1]).status_code == 200


FORMAT = """
def format_task(task):
    if task.name == "shop.echo":
        task.args = "formatted"
        task.kwargs = "formatted"
        task.result = "formatted"
    if task.name == "shop.fail":
        raise RuntimeError("no")
    return task

tasks_columns = "uuid, name, exception, nonsense"
natural_time = True
"""


def test_the_configuration_file_formats_tasks(kind: Kind, redis_cluster: Cluster, tmp_path: Path) -> None:
    conf = tmp_path / "conf.py"
    conf.write_text(FORMAT)
    app = redis_cluster.app
    with Site(kind, app.conf.broker_url, f"--conf={conf}", backend=app.conf.result_backend) as site:
        watching(site, app)
        sent = app.send_task("shop.echo", ("hidden-in-args",), {"key": "hidden-in-kwargs"}).id
        failed = app.send_task("shop.fail", ("shown",)).id
        site.wait_for_task(sent, state="SUCCESS")
        site.wait_for_task(failed, state="FAILURE")
        table = {"draw": 1, "start": 0, "length": 1000, "order[0][column]": 0}
        drawn = page(site, f"/task/{sent}") if site.is_flower else site.http.get(f"/api/v1/tasks/{sent}").text
        shown = [drawn, site.http.get("/tasks/datatable", params=table).text]
        if not site.is_flower:  # Flower's API still returns the hidden workers
            shown += [site.http.get("/api/tasks").text, site.http.get(f"/api/task/info/{sent}").text]
        for text in shown:
            assert "hidden-in" not in text
            assert "formatted" in text
        if not site.is_flower:
            # in Flower the function is given a pair by the page of a task, and its columns are drawn by a script
            assert "shown" in site.http.get(f"/api/v1/tasks/{failed}").text
            assert '"columns": ["uuid", "name", "exception"]' in page(site, "/tasks")
            assert '"natural_time": true' in page(site, "/tasks")
        else:
            columns = re.findall(r"<th[^>]*>\s*([A-Za-z ]+)", page(site, "/tasks"))
            assert [column.strip() for column in columns][:3] == ["UUID", "Name", "Exception"]


def test_under_a_prefix(kind: Kind, redis_cluster: Cluster) -> None:
    app = redis_cluster.app
    with Site(kind, app.conf.broker_url, "--url-prefix=/flower/", prefix="/flower") as site:
        text = page(site, "/tasks")
        assert 'href="/flower/static/' in text
        assert ("/flower/tasks" if site.is_flower else '<base href="/flower/">') in text
        assert site.http.get("/api/tasks").status_code == 200
        bare = httpx.get(f"http://127.0.0.1:{site.port}/tasks")
        assert bare.status_code == 404
