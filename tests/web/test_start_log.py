"""Start lines of the server that depend on the configuration and the store."""

import dataclasses
import logging
from types import SimpleNamespace

import pytest

from flower.config import DEFAULT_CONFIG
from flower.web.start_log import log_broker_and_tasks, log_permission_to_act, log_store
from tests.helpers.sample_store import TASKS, in_memory


@pytest.mark.parametrize(
    ("read_only", "has_login", "variable", "line"),
    [
        (False, False, "", "Actions are disabled: no login is configured. Set --basic-auth=USER:PASSWORD"),
        (False, False, "true", "Actions are enabled for all users"),
        (False, True, "", "Actions are enabled for signed-in users"),
        (True, True, "true", "Actions are disabled: read_only is set"),
    ],
)
def test_whether_users_can_act(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, read_only: bool, has_login: bool, variable: str,
    line: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", variable)
    with caplog.at_level(logging.INFO, "flower"):
        log_permission_to_act(dataclasses.replace(DEFAULT_CONFIG, read_only=read_only), has_login=has_login)
    assert caplog.messages[0].startswith(line)


def test_number_of_tasks_in_the_store(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "flower"):
        log_store(dataclasses.replace(DEFAULT_CONFIG, db="/data/flower"), in_memory())
    assert caplog.messages == [f"Store: /data/flower, {len(TASKS)} tasks"]


def test_tasks_of_celery_and_the_password_of_the_broker_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    names = [f"shop.t{number:02}" for number in range(52)]
    conf = SimpleNamespace(broker_read_url="redis://ann:hush@host/0")
    with caplog.at_level(logging.INFO, "flower"):
        log_broker_and_tasks(SimpleNamespace(conf=conf, tasks=["celery.chord", *names]))
    assert caplog.messages[0] == "Broker: redis://ann:**@host/0"
    assert caplog.messages[1] == f"Registered tasks: {', '.join(names[:50])} and 2 more"
