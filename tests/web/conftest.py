"""The fixtures of `tests.helpers.api_fixtures`."""

from tests.helpers.api_fixtures import client_of, examples, http, live, opened, store, writer  # noqa: F401
