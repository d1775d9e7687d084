"""django-celery-results as result backend. Django is set up once per process, so the test runs in a process of its
own."""

import json
import os
import subprocess
import sys
from pathlib import Path

SETTINGS = """
SECRET_KEY = "test"
INSTALLED_APPS = ["django_celery_results"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{folder}/db.sqlite3"}}}}
USE_TZ = True
"""

PROGRAM = """
import json, time
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from celery import Celery
from celery.app.task import Context
from flower.reconcile.connections import create_app
from flower.reconcile.cost import ReconcileCost
from flower.reconcile.results import TimeWindow, create_result_source
from flower.recorder_settings import reconcile_settings
from flower.redaction import Redactor, Rules

app = Celery("shop", broker="memory://", backend="django-db", set_as_current=False)
app.conf.result_extended = True
for uuid, value, state in (("good", {"total": 3}, "SUCCESS"), ("bad", ValueError("no"), "FAILURE")):
    request = Context(id=uuid, task="shop.add", args=[1], kwargs={"password": "x"}, hostname="celery@one")
    app.backend.store_result(uuid, value, state, traceback="Traceback", request=request)
cost = ReconcileCost()
source = create_result_source(create_app(reconcile_settings(app, Rules())), Redactor(), cost)
found = source.fetch(["good", "bad", "unknown"])
now = time.time()
batches = source.search(TimeWindow(now - 60, now + 1), lambda uuid: uuid != "bad", lambda: False)
print(json.dumps({
    "states": {uuid: result.state for uuid, result in found.items()},
    "good": [found["good"].result, found["good"].name, found["good"].kwargs, found["good"].hostname],
    "bad": [found["bad"].exception, found["bad"].traceback],
    "age": now - found["good"].ended,
    "requests": cost.backend_requests,
    "searched": [result.uuid for batch in batches for result in batch],
}))
source.close()
"""


def test_rows_are_read_by_id_and_found_by_date(tmp_path: Path) -> None:
    (tmp_path / "django_settings.py").write_text(SETTINGS.format(folder=tmp_path))
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "django_settings", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["states"] == {"good": "SUCCESS", "bad": "FAILURE"}
    assert answer["good"][:2] == ["{'total': 3}", "shop.add"]
    assert answer["good"][2:] == ["{'password': '***'}", "celery@one"]
    assert answer["bad"] == ["ValueError('no')", "Traceback"]
    assert 0 <= answer["age"] < 30
    assert answer["requests"] == 1
    assert answer["searched"] == ["good"]
