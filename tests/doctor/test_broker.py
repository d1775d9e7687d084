"""Checks of the broker, on real ones."""

import re
import socket
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from flower.doctor.broker import check_broker, check_event_permissions, check_queue_permissions
from flower.doctor.models import DoctorResult
from tests.doctor.conftest import RunCheck, make_examination
from tests.helpers.servers import RabbitMQ, Redis, TlsRedis, free_port

RunChecks = Callable[[str], list[DoctorResult]]
CHECKS = (check_broker, check_event_permissions, check_queue_permissions)


@pytest.fixture
def results(tmp_path: Path, run_check: RunCheck) -> RunChecks:
    """Runs all checks of a broker."""

    def run(url: str) -> list[DoctorResult]:
        examination = make_examination(tmp_path, broker=url)
        return [result for check in CHECKS for result in run_check(check, examination)]

    return run


def redis_acl(server: Redis) -> Callable[..., Any]:
    """Runs the command ACL."""
    client: Any = redis.Redis(port=server.port)
    return partial(client.execute_command, "ACL")


def rabbitmqctl(server: RabbitMQ, *arguments: str) -> str:
    script = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")
    command = [str(script) if script.exists() else "rabbitmqctl", "-n", server.node, *arguments]
    return subprocess.run(command, env=server.environment(), check=True, capture_output=True, text=True).stdout


def test_a_broker_with_all_permissions_is_ok(broker: Redis | RabbitMQ, results: RunChecks) -> None:
    found = results(broker.url)
    assert [result.status for result in found] == ["ok", "ok", "ok"]
    assert "without TLS, connected in" in found[0].found
    assert found[1].found.startswith("Events can be received (")


def test_a_closed_port_is_an_error_and_later_checks_are_skipped(results: RunChecks) -> None:
    port = free_port()
    found = results(f"redis://:topsecret@127.0.0.1:{port}/0")
    assert [result.status for result in found] == ["error", "skipped", "skipped"]
    assert found[0].found == f"connection refused (redis://:**@127.0.0.1:{port}/0)"
    assert found[0].action == "Start the broker, or correct host and port in -b or broker_url."


def test_a_wrong_password_is_an_error_without_the_password(rabbitmq_server: RabbitMQ, results: RunChecks) -> None:
    found = results(f"amqp://guest:topsecret@127.0.0.1:{rabbitmq_server.port}//")
    assert found[0].status == "error"
    assert found[0].found.startswith("the broker rejected the user or password")
    assert "topsecret" not in "".join(result.found + result.action for result in found)


def test_a_broker_that_does_not_answer_is_an_error_within_its_time_limit(results: RunChecks) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started_at = time.monotonic()
        found = results(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
    assert re.match(r"no answer within 1\d s", found[0].found)
    assert [result.status for result in found] == ["error", "skipped", "skipped"]
    assert time.monotonic() - started_at < 20


def test_an_unknown_virtual_host_is_an_error(rabbitmq_server: RabbitMQ, results: RunChecks) -> None:
    found = results(f"amqp://guest:guest@127.0.0.1:{rabbitmq_server.port}/missing")
    assert found[0].status == "error"
    assert found[0].found.startswith("virtual host not found")
    assert found[0].action.startswith("Create the virtual host")


def test_tls_is_checked_and_shown(results: RunChecks) -> None:
    with TlsRedis() as server:
        trusted = results(f"{server.url}?ssl_cert_reqs=required&ssl_ca_certs={server.ca}")
        untrusted = results(f"{server.url}?ssl_cert_reqs=required")
    assert [result.status for result in trusted] == ["ok", "ok", "ok"]
    assert "with TLS" in trusted[0].found
    assert untrusted[0].found.startswith("the TLS certificate of the broker is not trusted")
    assert untrusted[0].action.startswith("Set broker_use_ssl with ca_certs")


def test_tls_on_a_port_without_tls_is_an_error(redis_server: Redis, results: RunChecks) -> None:
    found = results(f"rediss://127.0.0.1:{redis_server.port}/0?ssl_cert_reqs=none")
    assert found[0].status == "error"
    assert found[0].action


def test_a_redis_user_without_subscribe_is_an_error(redis_server: Redis, results: RunChecks) -> None:
    acl = redis_acl(redis_server)
    acl("SETUSER", "quiet", "on", ">pw", "~*", "&*", "+@all", "-subscribe", "-psubscribe")
    try:
        found = results(f"redis://quiet:pw@127.0.0.1:{redis_server.port}/0")
    finally:
        acl("DELUSER", "quiet")
    assert [result.status for result in found] == ["ok", "error", "ok"]
    assert found[1].found.startswith("Events cannot be received: ")
    assert "ACL SETUSER" in found[1].action


def test_a_redis_user_that_cannot_read_keys_is_a_warning(redis_server: Redis, results: RunChecks) -> None:
    acl = redis_acl(redis_server)
    acl("SETUSER", "blind", "on", ">pw", "~*", "&*", "+@all", "-llen")
    try:
        found = results(f"redis://blind:pw@127.0.0.1:{redis_server.port}/0")
    finally:
        acl("DELUSER", "blind")
    assert [result.status for result in found] == ["ok", "ok", "warning"]
    assert "llen" in found[2].found


def test_a_rabbitmq_user_without_configure_is_an_error(rabbitmq_server: RabbitMQ, results: RunChecks) -> None:
    rabbitmqctl(rabbitmq_server, "add_user", "reader", "pw")
    rabbitmqctl(rabbitmq_server, "set_permissions", "-p", "/", "reader", "^$", ".*", ".*")
    found = results(f"amqp://reader:pw@127.0.0.1:{rabbitmq_server.port}//")
    assert [result.status for result in found[:2]] == ["ok", "error"]
    assert "the broker user has no permission to read events" in found[1].found
    assert "access to queue 'celeryev.bellflower.doctor-" in found[1].found
    assert "rabbitmqctl set_permissions" in found[1].action


def test_nothing_remains_on_rabbitmq(rabbitmq_server: RabbitMQ, results: RunChecks) -> None:
    results(rabbitmq_server.url)
    assert "doctor" not in rabbitmqctl(rabbitmq_server, "-q", "list_queues", "name")
