"""Whatever is asked, the answers are those of the document: no error of ours, no answer of another shape."""

import tempfile

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from live import no_app
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from flower.api.context import Context
from flower.api.v1.document import document
from flower.api.v1.examples import example_store
from flower.store.opening import open_ledger
from flower.web.application import create_app

_FOLDER = tempfile.TemporaryDirectory()
APP = create_app(Context(example_store(), no_app, open_ledger(_FOLDER.name)))
schema = schemathesis.openapi.from_dict(document())
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
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    case.call_and_validate(checks=checks)
