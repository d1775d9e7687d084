"""The commands in this process, on a store in memory."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from cli.shop import in_memory
from flower.cli.asking import Opened
from flower.cli.entry import commands
from flower.store.port import Reader

Asks = Callable[..., Result]


@pytest.fixture(scope="session")
def shop() -> Reader:
    return in_memory()


@pytest.fixture
def ask(shop: Reader) -> Asks:
    """Run a command; gives its output, what it said on standard error, and how it ended."""

    def asks(*arguments: str, store: Reader = shop) -> Result:
        return CliRunner().invoke(commands, arguments, obj=Opened(store))

    return asks
