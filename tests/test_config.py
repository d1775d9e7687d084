from pathlib import Path

import pytest

from flower.config import DEFAULTS, Bytes, Config, Seconds, load, nearest
from flower.errors import Invalid


def test_defaults(tmp_path: Path) -> None:
    assert load({}, {}, tmp_path) == DEFAULTS
    assert DEFAULTS.address == "127.0.0.1"
    assert DEFAULTS.db == "flower-data"


def test_precedence_is_environment_then_file_then_command_line(tmp_path: Path) -> None:
    (tmp_path / "flowerconfig.py").write_text("port = 2\nmax_tasks = 22\nother = object()\n")
    environment = {"FLOWER_PORT": "1", "FLOWER_MAX_TASKS": "11", "flower_db": "elsewhere", "FLOWER_NO_SUCH": "x"}
    config = load({"port": "3"}, environment, tmp_path)
    assert (config.port, config.max_tasks, config.db) == (3, 22, "elsewhere")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"basic_auth": "a:b, c:d:e"}, Config(basic_auth=("a:b", "c:d:e"))),
        ({"read_only": "Yes"}, Config(read_only=True)),
        ({"enable_events": "0"}, Config(enable_events=False)),
        ({"max_age": "30d"}, Config(max_age=Seconds(30 * 86400))),
        ({"max_age": "90"}, Config(max_age=Seconds(90))),
        ({"max_size": "10GB"}, Config(max_size=Bytes(10**10))),
    ],
)
def test_values(given: dict[str, str], expected: Config, tmp_path: Path) -> None:
    assert load(given, {}, tmp_path) == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"port": "http"}, "--port: 'http' is not a whole number"),
        ({"port": "70000"}, "ports are 0 to 65535"),
        ({"read_only": "maybe"}, "is not true or false"),
        ({"max_age": "soon"}, "is not a duration such as 90, 15m, 12h or 30d"),
        ({"max_size": "much"}, "is not a size such as 500MB or 10GB"),
        ({"max_tasks": "-1"}, "must not be negative"),
        ({"basic_auth": "ann"}, "not user:password"),
        ({"logging": "loud"}, "must be debug, info, warning, error or none"),
        ({"conf": "missing.py"}, "does not exist"),
    ],
)
def test_bad_values_are_told_in_plain_words(given: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=words):
        load(given, {}, tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("port = = 3", "SyntaxError"),
        ("raise KeyError('x')", "KeyError"),
        ("port = 2.5", "port"),
        ("read_only = 'si'", "true or false"),
        ("enable_events = 1", "true or false"),
        ("max_tasks = []", "whole number"),
    ],
)
def test_bad_files_are_told_in_plain_words(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(Invalid, match=words):
        load({"conf": "mine.py"}, {}, tmp_path)


def test_file_values_keep_their_type(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("basic_auth = ['a:b']\nread_only = True\nmax_age = 60\nport = '7'\n")
    config = load({}, {"FLOWER_CONF": "mine.py"}, tmp_path)
    assert (config.basic_auth, config.read_only, config.max_age, config.port) == (("a:b",), True, 60.0, 7)


def test_a_misspelt_name_finds_the_nearest() -> None:
    assert nearest("prot") == "port"
    assert nearest("max-taks") == "max-tasks"
    assert nearest("zzz") is None
