"""Commands that README.md and docs/ show: each parses with the options and arguments that the command has."""

import re
import shlex
from pathlib import Path

import click
import pytest

from flower.cli.main import load_command
from flower.http.v1.routes import ROUTES
from tests.helpers.paths import DOCS, ROOT

PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def commands(page: Path) -> list[str]:
    lines = [line.strip().removeprefix("$ ") for line in page.read_text("utf-8").splitlines()]
    lines = [line.partition(" | flower ")[0] for line in lines if line.startswith("flower ")]
    return [re.sub(r"\s+#.*", "", line) for line in lines]


EXAMPLES = [(page.name, line) for page in PAGES for line in commands(page)]


@pytest.mark.parametrize(("page", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_a_documented_command_parses(page: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, name, *words = shlex.split(line)
    command = load_command(name)
    if isinstance(command, click.Group):
        subcommand = command.get_command(click.Context(command), words.pop(0))
        assert subcommand is not None
        command = subcommand
    for parameter in command.params:
        if isinstance(parameter.type, click.Path):  # the files of an example do not exist
            monkeypatch.setattr(parameter.type, "exists", False)
    command.make_context(name, words)


def test_documented_paths_of_the_api_are_routes() -> None:
    known = {f"/api/v1{route.plain_path}" for route in ROUTES} | {"/api/v1/docs", "/api/v1/openapi.json"}
    patterns = [re.compile(re.sub(r"\\\{\w+\\\}", "[^/?]+", re.escape(path))) for path in known]
    unknown = {
        (page.name, path)
        for page in PAGES
        for path in re.findall(r"/api/v1/[\w/{}-]+(?:\.json)?", page.read_text("utf-8").replace("…", "x"))
        if not any(pattern.fullmatch(path) for pattern in patterns)
    }
    assert not unknown
