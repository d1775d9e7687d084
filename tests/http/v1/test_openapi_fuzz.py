"""Requests that Schemathesis generates from the OpenAPI document: valid ones, boundary values and invalid ones, on a
server without a login, and on one with a login: without credentials and as a user of each role. Every response has a
status, a content type and a schema that the document names. No request ends in an internal error, and none is answered
that the role does not permit."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from kombu.pidbox import Mailbox
from schemathesis.checks import load_all_checks
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.generation.hypothesis import builder
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.python._constants.orchestrator import make_constants_value_source
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

#: Marks of a test for which Schemathesis cannot generate a part of the requests.
INCOMPLETE = (builder.InvalidHeadersExampleMark, builder.MissingPathParameters, builder.UnserializablePayloadMark)

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


class FuzzedSchema:
    """The document with an application that has these options. Tests of its operations are built when they run: with
    `parametrize()` of Schemathesis, each process of xdist would generate the requests of all tests when it collects
    them, which takes longer than most test files."""

    def __init__(self, folder: Path, config: Config, phases: list[str]) -> None:
        ledger = open_ledger(folder)
        context = Context(
            example_store(),
            lambda: CELERY,
            ledger,
            access=create_authenticator(config, ledger, {}),
            inspect_timeout=REPLY_TIMEOUT,
            reply_timeout=REPLY_TIMEOUT,
        )
        self._schema = schemathesis.openapi.from_dict(openapi_document())
        self._schema.app = create_app(context)
        self._schema.config.phases.update(phases=phases)
        self._constants = make_constants_value_source(self._schema)
        load_all_checks()

    def run(self, method: str, path: str, effort: settings, send: Callable[[Any], None]) -> None:
        """Test one operation. Fails if Schemathesis cannot generate a part of the requests."""

        @settings(effort, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        def test(case: Any) -> None:
            if path.endswith("/stream"):
                case.query = {**(case.query or {}), "duration": "0.02"}  # else the stream has no end
            send(case)

        built = build_operation_test(
            config=self._schema.config,
            operation=self._schema[path][method],
            test_func=test,
            given_kwargs={},
            feedback=FeedbackSources(constants_value_source=self._constants),
        )
        try:
            built()
        except SkipTest as error:
            pytest.fail(f"Schemathesis generated no request: {error}")
        assert [mark for mark in INCOMPLETE if mark.get(built)] == []


@pytest.fixture(scope="module")
def without_login(tmp_path_factory: pytest.TempPathFactory) -> FuzzedSchema:
    return FuzzedSchema(tmp_path_factory.mktemp("open"), Config(), ["examples", "coverage", "fuzzing"])


@pytest.fixture(scope="module")
def with_login(tmp_path_factory: pytest.TempPathFactory) -> FuzzedSchema:
    config = Config(basic_auth=USERS, roles=ROLES_OF_USERS)
    return FuzzedSchema(tmp_path_factory.mktemp("login"), config, ["fuzzing"])


def send_open(case: Any) -> None:
    case.call_and_validate(checks=CHECKS)


def sender_of(role: str, permission: str) -> Callable[[Any], None]:
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


OPERATIONS = [
    (operation["operationId"], method, path)
    for path, operations in openapi_document()["paths"].items()
    for method, operation in operations.items()
]


@pytest.mark.parametrize(("name", "method", "path"), OPERATIONS)
def test_requests(without_login: FuzzedSchema, opened: None, name: str, method: str, path: str) -> None:
    without_login.run(method, path, THOROUGH, send_open)


@pytest.mark.parametrize("role", AUTHORIZATION)
@pytest.mark.parametrize(("name", "method", "path"), OPERATIONS)
def test_requests_with_login(with_login: FuzzedSchema, name: str, method: str, path: str, role: str) -> None:
    with_login.run(method, path, BRIEF, sender_of(role, PERMISSIONS[f"{method.upper()} {path}"]))
