"""The web application behind a real server, on the examples' store or one of a test's own."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from live import Live
from v1_rig import ClientOf

from flower.api.v1.examples import example_store
from flower.store.port import Reader


@pytest.fixture
def client_of(opened: None) -> Iterator[ClientOf]:
    with ExitStack() as running:

        def client(store: Reader) -> httpx.Client:
            return running.enter_context(Live(store)).http

        yield client


@pytest.fixture(scope="session")
def examples() -> Iterator[Live]:
    with Live(example_store()) as server:
        yield server


@pytest.fixture
def http(examples: Live, opened: None) -> httpx.Client:
    """The five tasks of the examples."""
    return examples.http
