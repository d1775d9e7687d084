"""The fixtures of `tests.helpers.api_fixtures`, and the source files instead of a bundle."""

from tests.helpers.api_fixtures import client_of, examples, http, live, opened, store, writer  # noqa: F401
from tests.helpers.source_assets import source_assets  # noqa: F401
