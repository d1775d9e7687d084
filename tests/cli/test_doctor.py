"""`flower doctor`, as a separate process."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.helpers.clusters import Cluster
from tests.helpers.paths import DOCS, ROOT
from tests.helpers.sample_store import run
from tests.helpers.servers import free_port


def test_a_healthy_cluster_has_no_error_and_the_result_is_json(cluster: Cluster, tmp_path: Path) -> None:
    conf = cluster.app.conf
    settings = {
        "PYTHONPATH": str(ROOT), "SHOP_BROKER": conf.broker_url, "SHOP_BACKEND": conf.result_backend,
        "SHOP_EXTENDED": "1", "FLOWER_ADDRESS": "127.0.0.1",
    }  # fmt: skip
    result = run(
        "-A", "tests.helpers.celery_app", "doctor", "--unix-socket=flower.sock", "--json", folder=tmp_path, **settings
    )
    document = json.loads(result.stdout)
    problems = [check for check in document["checks"] if check["status"] != "ok"]
    assert not [check for check in problems if check["check"] != "versions"], problems
    assert result.returncode == (1 if problems else 0)
    assert [check["check"] for check in document["checks"] if check["check"] != "versions"] == [
        "installation", "configuration", "address", "descriptors", "disk", "store", "application", "broker", "events",
        "queues", "workers", "workers", "heartbeats", "clocks", "result backend",
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_broker_is_status_3_without_the_password(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("-b", f"redis://:topsecret@127.0.0.1:{port}/0", "doctor")
    result = run(*arguments, folder=tmp_path)
    assert result.returncode == 3
    assert f"error    broker: connection refused (redis://:**@127.0.0.1:{port}/0)" in result.stdout
    assert "         → Start the broker, or correct host and port in -b or broker_url." in result.stdout
    assert "skipped  events: the broker is unreachable" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("Total: 1 error, ")
    assert "topsecret" not in result.stdout + result.stderr
    assert run(*arguments, "--exit-zero", folder=tmp_path).returncode == 0


def test_options_are_those_of_the_server(tmp_path: Path) -> None:
    result = run("doctor", "--basic-aut=ann:pw", folder=tmp_path)
    assert result.returncode == 2
    assert "--basic-auth" in result.stderr


def test_a_misspelt_variable_is_status_3(tmp_path: Path) -> None:
    result = run("doctor", "-b", "memory://", folder=tmp_path, FLOWER_BASICAUTH="ann:topsecret")
    assert result.returncode == 3
    assert "Rename it to FLOWER_BASIC_AUTH." in result.stdout
    assert "topsecret" not in result.stdout


def test_help_does_not_import_celery(tmp_path: Path) -> None:
    code = "import flower.cli.doctor, sys; sys.exit('celery' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


def test_the_example_of_the_documentation_is_the_output(tmp_path: Path) -> None:
    page = (DOCS / "deployment.md").read_text("utf-8")
    example = re.search(r"<!-- doctor -->\n```text\n(.*?)```", page, re.DOTALL)
    assert example is not None
    arguments = ("-b", "redis://127.0.0.1:6399/0", "doctor", "--address=0.0.0.0")
    printed = run(*arguments, folder=tmp_path, FLOWER_BASICAUTH="ann:pw").stdout
    assert normalize(printed.replace(str(tmp_path), "/srv/proj")) == normalize(example[1])


def normalize(text: str) -> list[str]:
    """The lines without numbers, and without those that depend on the host."""
    lines = [re.sub(r"[\d.,]*\d( [kMG]B)?", "#", line) for line in text.splitlines()]
    return [line for line in lines if not re.match(r"\w+ +(descriptors|disk|versions|installation):|Total", line)]
