"""Requests that Schemathesis generates from the OpenAPI document: valid ones, boundary values and invalid ones, on a
server without a login, and on one with a login: without credentials and as a user of each role. Every response has a
status, a content type and a schema that the document names. No request ends in an internal error, and none is answered
that the role does not permit."""

import re
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from kombu.pidbox import Mailbox
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from flower.access import ROLES
from flower.access.factory import create_authenticator
from flower.api.context import Context
from flower.cluster import remote_control
from flower.config import Config
from flower.http.v1.openapi import openapi_document
from flower.http.v1.openapi_examples import example_store
from flower.http.v1.route import PREFIX
from flower.http.v1.routes import ROUTES
from flower.store.factory import open_ledger
from flower.web.application import create_app
from tests.helpers.celery_app import make
from tests.helpers.users import ANN, OLGA, USERS, VERA
from tests.helpers.users import ROLES as ROLES_OF_USERS

#: A broker without workers: a remote control command gets no reply.
CELERY = make("memory://", "cache+memory://")

#: Seconds that a command waits for the reply that does not come, instead of one second.
REPLY_TIMEOUT = 0.01

#: Requests of one operation, with all examples of Schemathesis; and as each user: then access control is tested.
THOROUGH = settings(max_examples=15, phases=[Phase.explicit, Phase.generate])
BRIEF = settings(max_examples=2, phases=[Phase.generate])

#: Headers of requests to the server with a login, by role.
AUTHORIZATION: Mapping[str, dict[str, str]] = {
    "unauthenticated": {},
    **{
        role: {"Authorization": f"Basic {b64encode(':'.join(user).encode()).decode()}"}
        for role, user in (("viewer", VERA), ("operator", OLGA), ("admin", ANN))
    },
}

PERMISSIONS = {f"{route.method} {PREFIX}{route.plain_path}": route.permission for route in ROUTES}


@pytest.fixture(autouse=True, scope="module")
def _short_reply_timeout() -> Iterator[None]:
    collect_replies = remote_control._collect_replies

    def collect(
        mailbox: Mailbox, commands: Mapping[str, Mapping[str, Any]], workers: Sequence[str] | None, timeout: float
    ) -> dict[str, dict[str, Any]]:
        return collect_replies(mailbox, commands, workers, min(timeout, REPLY_TIMEOUT))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(remote_control, "_collect_replies", collect)
        yield


def no_internal_error(ctx: Any, response: Any, case: Any) -> None:
    """The cluster may be unavailable (503) or not responding (504), as documented. 500 is a defect."""
    assert response.status_code != 500


CHECKS = [no_internal_error, status_code_conformance, content_type_conformance, response_schema_conformance]

_FOLDER = tempfile.TemporaryDirectory()


def _schema(folder: str, config: Config) -> Any:
    """The document with an application that has these options."""
    ledger = open_ledger(f"{_FOLDER.name}/{folder}")
    context = Context(
        example_store(),
        lambda: CELERY,
        ledger,
        access=create_authenticator(config, ledger, {}),
        inspect_timeout=REPLY_TIMEOUT,
        reply_timeout=REPLY_TIMEOUT,
    )
    schema = schemathesis.openapi.from_dict(openapi_document())
    schema.app = create_app(context)
    return schema


OPEN = _schema("open", Config())
WITH_LOGIN = _schema("login", Config(basic_auth=USERS, roles=ROLES_OF_USERS))


def _test_of(schema: Any, operation: Any, effort: settings, send: Callable[[Any], None]) -> Callable[..., None]:
    """The test of one operation. `parametrize()` of the schema would make all of them, but with one node id for all,
    and xdist runs only one test of each node id."""

    @schema.include(method=operation.method.upper(), path=operation.path).parametrize()  # type: ignore[untyped-decorator]
    @settings(effort, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def test(case: Any) -> None:
        if operation.path.endswith("/stream"):
            case.query = {**(case.query or {}), "duration": "0.02"}  # else the stream has no end
        send(case)

    return pytest.mark.usefixtures("opened")(test) if schema is OPEN else test


def send_open(case: Any) -> None:
    case.call_and_validate(checks=CHECKS)


def sender_of(role: str, operation: Any) -> Callable[[Any], None]:
    permission = PERMISSIONS[f"{operation.method.upper()} {operation.path}"]
    headers = AUTHORIZATION[role]

    def send(case: Any) -> None:
        response = case.call_and_validate(checks=CHECKS, headers=headers)
        if not headers:
            assert response.status_code == 401
        else:
            assert response.status_code != 401
            denied = f"Permission '{permission}'" in response.text if response.status_code == 403 else False
            assert denied is (permission not in ROLES[role])

    return send


def _operations(schema: Any) -> Iterator[tuple[str, Any]]:
    for result in schema.get_all_operations():
        operation = result.ok()
        name = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", operation.definition.raw["operationId"])
        yield name, operation


for _name, _operation in _operations(OPEN):
    globals()[f"test_{_name}"] = _test_of(OPEN, _operation, THOROUGH, send_open)
for _name, _operation in _operations(WITH_LOGIN):
    for _role in AUTHORIZATION:
        globals()[f"test_{_name}_as_{_role}"] = _test_of(WITH_LOGIN, _operation, BRIEF, sender_of(_role, _operation))
