"""Fixtures that run commands in this process, on a store in memory."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from click.testing import Result

from flower.cli.base import OpenStore
from flower.cli.main import commands
from flower.store.factory import open_ledger
from flower.store.ledger import Ledger
from flower.store.protocols import Reader
from tests.helpers.cli_runner import create_runner
from tests.helpers.sample_store import NOW, in_memory

RunCommand = Callable[..., Result]


@pytest.fixture(scope="session")
def shop() -> Reader:
    return in_memory()


@pytest.fixture(scope="session")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with closing(open_ledger(tmp_path_factory.mktemp("shop"))) as opened:
        yield opened


@pytest.fixture
def run_command(shop: Reader, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> RunCommand:
    """Runs a command; the result has its output, standard error and exit status. The time is that of the sample,
    however long ago it was created: its last event is at NOW + 2."""
    monkeypatch.setattr(time, "time", lambda: NOW + 5)

    def run(*arguments: str, store: Reader = shop) -> Result:
        return create_runner().invoke(commands, arguments, prog_name="flower", obj=OpenStore(store, ledger))

    return run
