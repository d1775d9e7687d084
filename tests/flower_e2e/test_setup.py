"""A set-up as it is found with users, with each of the two unchanged: environment variables, `flowerconfig.py` in the
working directory, a reverse proxy with a prefix, a Prometheus scrape, and a script that lists, applies and revokes."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.flower_e2e.conftest import watching
from tests.helpers.clusters import Cluster
from tests.helpers.compat_site import Kind, Site
from tests.helpers.prometheus_scrape import ScrapedMetrics
from tests.helpers.reverse_proxy import Proxy
from tests.helpers.servers import wait_for

CONFIG = """
# flowerconfig.py
import os

max_tasks = 20000
persistent = False
auto_refresh = False
natural_time = False
tasks_columns = "name,uuid,state,args,received,runtime,worker"
basic_auth = ["ops:" + os.environ["OPS_PASSWORD"]]
unknown_thing = object()


def format_task(task):
    task.result = task.result and task.result[:50]
    return task
"""

#: What an operator's script does; it has the address and the credentials only.
SCRIPT = """
import base64, json, sys, urllib.parse, urllib.request

base, credentials = sys.argv[1:3]
login = {"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, {**login, "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


applied = ask("/api/task/async-apply/shop.add", {"args": [20, 22]})
result = ask("/api/task/result/" + applied["task-id"] + "?timeout=20")
later = ask("/api/task/async-apply/shop.add", {"args": [1, 1], "countdown": 3600})
revoked = ask("/api/task/revoke/" + later["task-id"], {})
listed = ask("/api/tasks?" + urllib.parse.urlencode({"limit": 10, "taskname": "shop.add"}))
print(json.dumps({"result": result["result"], "later": later["task-id"], "revoked": revoked, "listed": list(listed)}))
"""


@pytest.fixture
def site(kind: Kind, redis_cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "flowerconfig.py").write_text(CONFIG)
    environment = {"FLOWER_URL_PREFIX": "monitor", "FLOWER_XHEADERS": "yes", "FLOWER_MAX_WORKERS": "50",
                   "FLOWER_NONSENSE": "x", "OPS_PASSWORD": "s3cret"}  # fmt: skip
    app = redis_cluster.app
    site = Site(kind, app.conf.broker_url, backend=app.conf.result_backend, prefix="/monitor", environment=environment,
                open_api=False)  # fmt: skip
    (site.folder / "flowerconfig.py").write_text(CONFIG)
    site.http.auth = httpx.BasicAuth("ops", "s3cret")
    with site:
        watching(site, app)
        yield site


def test_the_set_up_works_unchanged(site: Site, redis_cluster: Cluster, tmp_path: Path) -> None:
    with Proxy(f"http://127.0.0.1:{site.port}", "/monitor") as proxy:
        base = f"{proxy.url}/monitor"
        assert httpx.get(f"{base}/tasks").status_code == 401
        page = httpx.get(f"{base}/tasks", auth=("ops", "s3cret"))
        assert page.status_code == 200
        style = re.search(r'href="(/monitor/static/[^"]+\.css[^"]*)"', page.text)
        assert style
        assert httpx.get(f"{proxy.url}{style[1]}").status_code == 200

        script = tmp_path / "script.py"
        script.write_text(SCRIPT)
        ran = subprocess.run(
            [sys.executable, str(script), base, "ops:s3cret"], capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == 0, ran.stderr
        import json

        said = json.loads(ran.stdout)
        assert said["result"] == 42
        assert said["revoked"] == {"message": f"Revoked '{said['later']}'"}
        assert 0 < len(said["listed"]) <= 10
        wait_for("the revocation", lambda: said["later"] in (redis_cluster.worker.inspect("revoked") or ()))
        site.wait_for_task(said["later"])

        def succeeded() -> float | None:
            scraped = httpx.get(f"{base}/metrics")  # Prometheus has no login
            assert scraped.status_code == 200
            labels = {"worker": redis_cluster.worker.hostname, "type": "task-succeeded", "task": "shop.add"}
            return ScrapedMetrics(scraped.text).value("flower_events_total", **labels)

        wait_for("the scrape", lambda: (succeeded() or 0) >= 1)
        assert httpx.get(f"{base}/healthcheck").text == "OK"
