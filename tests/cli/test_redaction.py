"""Tests of `flower redaction check` and of redaction on import. The examples of docs/redaction.md are run."""

import json
import re
import shlex
from pathlib import Path

from tests.helpers.paths import DOCS
from tests.helpers.sample_store import run

PAGE = (DOCS / "redaction.md").read_text("utf-8")
SECRET = "hunter2-marker"


def test_examples_of_the_documentation(tmp_path: Path) -> None:
    shapes = re.search(r"```toml\n(.*?)```", PAGE, re.S)
    assert shapes is not None
    (tmp_path / "shapes.toml").write_text(shapes[1])
    examples = re.findall(r"```console\n\$ flower (.*?)\n(.*?)```", PAGE, re.S)
    assert len(examples) == 2
    for command, output in examples:
        done = run(*shlex.split(command), folder=tmp_path)
        assert (done.returncode, done.stdout) == (0, output), (command, done.stderr)


def test_check_prints_each_text_that_is_not_treated_as_required(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[[mask]]\nname = "order"\ntext = "order {secret}"\nsecret = "ORD-1\\u001b[0m"\n')
    done = run("redaction", "check", str(file), folder=tmp_path)
    assert done.returncode == 3
    assert done.stdout.startswith("order: secret not masked\n  text    order ORD-1\\x1b[0m\n")
    assert "recall 0.0% (0 of 1 secrets masked)" in done.stdout
    file.write_text("[[mask]]\nname = 'x'")
    done = run("redaction", "check", str(file), folder=tmp_path)
    assert done.returncode == 2
    assert "[[mask]] 'x' has no text" in done.stderr


def test_import_masks_by_the_rules_of_the_configuration(tmp_path: Path) -> None:
    attempt = {"number": 0, "state": "RETRY", "exception": f"Busy('token={SECRET}')"}
    task = {
        "uuid": "a", "name": "shop.login", "state": "SUCCESS", "args": f"('ann', '{SECRET}')", "last_event_at": 1.0,
        "kwargs": f"{{'password': '{SECRET}'}}", "result": f"postgres://ann:{SECRET}@db", "earlier": [attempt],
        "data": {"task-progress": {"step": {"secret": SECRET}}},
    }  # fmt: skip
    (tmp_path / "tasks.ndjson").write_text(json.dumps(task) + "\n")
    for options, is_stored in (((), False), (("--no-redact",), True)):
        store = f"--db={tmp_path / str(is_stored)}"
        done = run("import", "tasks.ndjson", store, *options, folder=tmp_path, FLOWER_REDACT_ARGS="shop.login:1")
        assert done.returncode == 0, done.stderr
        exported = run("export", "-", store, folder=tmp_path).stdout
        assert exported.count(SECRET) == (5 if is_stored else 0), exported
        assert ("('ann', '***')" in exported) is not is_stored
