"""Whatever is asked, the answers are those of the document: no error of ours, no answer of another shape."""

import tempfile

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
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
from workers.tasks import make

_FOLDER = tempfile.TemporaryDirectory()
#: A broker without workers, which answers nothing.
NOBODY = make("memory://", None)
APP = create_app(
    Context(example_store(), lambda: NOBODY, open_ledger(_FOLDER.name), inspect_timeout=0.01, answer_timeout=0.01)
)
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
    answer = case.call()
    checks = [status_code_conformance, content_type_conformance, response_schema_conformance]
    # workers that do not answer in time are no error of ours
    if answer.status_code != 504:
        checks.append(not_a_server_error)
    case.validate_response(answer, checks=checks)
