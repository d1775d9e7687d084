"""Requests that Schemathesis generates from the OpenAPI document: valid ones, boundary values and invalid ones. Every
response has a status, a content type and a schema that the document names, and no request ends in an internal error."""

import re
import tempfile
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

from flower.api.context import Context
from flower.cluster import remote_control
from flower.http.v1.openapi import openapi_document
from flower.http.v1.openapi_examples import example_store
from flower.store.factory import open_ledger
from flower.web.application import create_app
from tests.helpers.celery_app import make

#: A broker without workers: a remote control command gets no reply.
CELERY = make("memory://", "cache+memory://")

#: Seconds that a command waits for the reply that does not come, instead of one second.
REPLY_TIMEOUT = 0.01

pytestmark = pytest.mark.usefixtures("opened")


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
APP = create_app(
    Context(
        example_store(),
        lambda: CELERY,
        open_ledger(_FOLDER.name),
        inspect_timeout=REPLY_TIMEOUT,
        reply_timeout=REPLY_TIMEOUT,
    )
)
SCHEMA = schemathesis.openapi.from_dict(openapi_document())
SCHEMA.app = APP


def _test_of(operation: Any) -> Callable[..., None]:
    """The test of one operation. `SCHEMA.parametrize()` would make all of them, but with one node id for all, and xdist
    runs only one test of each node id."""

    @SCHEMA.include(method=operation.method.upper(), path=operation.path).parametrize()
    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def test(case: schemathesis.Case) -> None:
        if operation.path.endswith("/stream"):
            case.query = {**(case.query or {}), "duration": "0.02"}  # else the stream has no end
        case.call_and_validate(checks=CHECKS)

    return test


for _result in SCHEMA.get_all_operations():
    _operation = _result.ok()
    _name = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", _operation.definition.raw["operationId"])
    globals()[f"test_{_name}"] = _test_of(_operation)
