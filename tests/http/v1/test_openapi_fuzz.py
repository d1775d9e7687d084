"""Whatever is asked, the answers are those of the document: no error of ours, no answer of another shape."""

import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
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

#: No worker is on this broker: what is asked of one is answered by nobody, and soon.
CELERY = make("memory://", "cache+memory://")


@pytest.fixture(autouse=True, scope="module")
def nobody_is_waited_for() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(remote_control, "REPLY_TIMEOUT", 0.02)
        yield


def not_an_error_of_ours(ctx: Any, response: Any, case: Any) -> None:
    """The cluster may be away (503) or silent (504), and the document says so. 500 is a mistake."""
    assert response.status_code != 500


_FOLDER = tempfile.TemporaryDirectory()
APP = create_app(
    Context(example_store(), lambda: CELERY, open_ledger(_FOLDER.name), inspect_timeout=0.01, reply_timeout=0.01)
)
schema = schemathesis.openapi.from_dict(openapi_document())
schema.app = APP


@pytest.mark.usefixtures("opened")
@schema.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_the_document_says(case: schemathesis.Case) -> None:
    if case.path.endswith("/live"):
        case.query = {**(case.query or {}), "seconds": "0.02"}  # else it goes on as long as somebody listens
    checks = [not_an_error_of_ours, status_code_conformance, content_type_conformance, response_schema_conformance]
    case.call_and_validate(checks=checks)
