"""Options from the environment, the configuration file and the command line."""

import sys
from pathlib import Path

import pytest

from flower.config import (
    DEFAULT_CONFIG,
    OPTION_NAMES,
    UNREACHABLE_IN_CONTAINER,
    Config,
    default_text,
    load_config,
    log_level,
    suggest_option,
    to_log_dict,
)
from flower.errors import InvalidRequest
from flower.option_types import Bytes, Seconds


def test_defaults(tmp_path: Path) -> None:
    assert load_config({}, {}, tmp_path) == DEFAULT_CONFIG
    assert DEFAULT_CONFIG.address == "127.0.0.1"
    assert DEFAULT_CONFIG.db == "flower-data"


def test_precedence_is_environment_then_file_then_command_line(tmp_path: Path) -> None:
    (tmp_path / "flowerconfig.py").write_text("port = 2\nmax_tasks = 22\nother = object()\n")
    environment = {"FLOWER_PORT": "1", "FLOWER_MAX_TASKS": "11", "flower_db": "elsewhere", "FLOWER_NO_SUCH": "x"}
    config = load_config({"port": "3"}, environment, tmp_path)
    assert (config.port, config.max_tasks, config.db) == (3, 22, "elsewhere")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"basic_auth": "a:b, c:d:e"}, Config(basic_auth=("a:b", "c:d:e"))),
        ({"basic_auth": "a:b,c,d, e:f,"}, Config(basic_auth=("a:b,c,d", "e:f"))),
        (
            {"basic_auth": "a:$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA,b:c"},
            Config(basic_auth=("a:$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "b:c")),
        ),
        ({"purge_offline_workers": "5m"}, Config(purge_offline_workers=Seconds(300))),
        ({"purge_offline_workers": ""}, DEFAULT_CONFIG),
        ({"purge_offline_workers": "none"}, DEFAULT_CONFIG),
        ({"inspect_timeout": "250"}, Config(inspect_timeout=250.0)),
        ({"task_runtime_metric_buckets": "5, 0.5,inf,1"}, Config(task_runtime_metric_buckets=(0.5, 1.0, 5.0))),
        ({"log_to_stderr": "on"}, Config(log_to_stderr=True)),
        ({"log_to_stderr": ""}, DEFAULT_CONFIG),
        ({"auth": ""}, DEFAULT_CONFIG),
        ({"read_only": "Yes"}, Config(read_only=True)),
        ({"enable_events": "0"}, Config(enable_events=False)),
        ({"max_age": "30d"}, Config(max_age=Seconds(30 * 86400))),
        ({"max_age": "90"}, Config(max_age=Seconds(90))),
        ({"max_size": "10GB"}, Config(max_size=Bytes(10**10))),
    ],
)
def test_values(given: dict[str, str], expected: Config, tmp_path: Path) -> None:
    assert load_config(given, {}, tmp_path) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"port": "http"}, "--port: 'http' is not a whole number"),
        ({"port": "70000"}, "must be a port from 0 to 65535"),
        ({"read_only": "maybe"}, "is not true or false"),
        ({"max_age": "soon"}, "is not a duration such as 90, 15m, 12h or 30d"),
        ({"max_size": "much"}, "is not a size such as 500MB or 10GB"),
        ({"max_tasks": "-1"}, "must not be negative"),
        ({"basic_auth": "ann"}, "entries must be user:password"),
        ({"logging": "loud"}, "must be debug, info, warning, error, critical, none"),
        ({"conf": "missing.py"}, "does not exist"),
        ({"inspect_timeout": "inf"}, "must be 1 or more"),
        ({"inspect_timeout": "nan"}, "is not a number"),
        ({"purge_offline_workers": "-3"}, "must not be negative|not a duration"),
        ({"task_runtime_metric_buckets": "1,two"}, "is not a list of numbers"),
        ({"format_task": "mine.shorten"}, "which only the configuration file can hold"),
        ({"certfile": "a.pem"}, "Both 'certfile' and 'keyfile' are required to enable SSL"),
        ({"keyfile": "a.pem"}, "Both 'certfile' and 'keyfile' are required to enable SSL"),
        ({"broker_api": "ftp://x/api/"}, "Invalid '--broker-api' option: invalid scheme 'ftp', expected"),
        ({"broker_api": "http:///api/"}, "Invalid '--broker-api' option: no host in url"),
        ({"broker_api": "http://u:hush@x:port/api/"}, "Invalid '--broker-api' option: not a URL"),
        ({"url_prefix": "a{b}"}, "must not contain"),
        ({"log_rotate_mode": "never"}, "must be size or time"),
        ({"log_rotate_when": "noon"}, "or midnight"),
    ],
)
def test_invalid_values(given: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=message):
        load_config(given, {}, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port = = 3", "SyntaxError"),
        ("raise KeyError('x')", "KeyError"),
        ("port = 2.5", "port"),
        ("read_only = 'si'", "true or false"),
        ("enable_events = 1", "true or false"),
        ("max_tasks = []", "whole number"),
        ("max_tasks = True", "whole number"),
        ("basic_auth = ['a:b', 3]", "must be a list of texts"),
        ("task_runtime_metric_buckets = [1, float('nan')]", "must be a list of numbers"),
        ("format_task = 3", "must be a function"),
        ("open('/no/such/file')", "FileNotFoundError|No such file"),
    ],
)
def test_invalid_files(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(InvalidRequest, match=message):
        load_config({"conf": "mine.py"}, {}, tmp_path)


def test_file_values_keep_their_type(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("basic_auth = ['a:b']\nread_only = True\nmax_age = 60\nport = '7'\n")
    config = load_config({}, {"FLOWER_CONF": "mine.py"}, tmp_path)
    assert (config.basic_auth, config.read_only, config.max_age, config.port) == (("a:b",), True, 60.0, 7)


def test_misspelt_name_has_a_suggestion() -> None:
    assert suggest_option("prot") == "port"
    assert suggest_option("max-taks") == "max-tasks"
    assert suggest_option("zzz") is None


def test_file_contains_python_values(tmp_path: Path) -> None:
    (tmp_path / "flowerconfig.py").write_text(
        "import logging, math\n"
        "def format_task(task):\n    return task\n"
        "basic_auth = ('ann:a,b:c', 'bob:d')\n"
        "task_runtime_metric_buckets = [1, 0.5, math.inf]\n"
        "purge_offline_workers = 300\n"
        "broker_api = None\n"
        "url_prefix = 'größe'\n",
        encoding="utf-8",
    )
    config = load_config({}, {"FLOWER_BROKER_API": "http://elsewhere/api/"}, tmp_path)
    assert config.format_task is not None
    assert config.format_task(3) == 3
    assert config.logging == "info"
    assert config.basic_auth == ("ann:a,b:c", "bob:d")
    assert config.task_runtime_metric_buckets == (0.5, 1.0)
    assert (config.purge_offline_workers, config.broker_api, config.url_prefix) == (Seconds(300), "", "größe")


def test_none_in_the_file_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "flowerconfig.py").write_text(f"{' = '.join(OPTION_NAMES)} = None\n")
    assert load_config({}, {"FLOWER_PORT": "1"}, tmp_path) == DEFAULT_CONFIG


def test_every_option_is_read_from_the_environment(tmp_path: Path) -> None:
    texts = {name: default_text(name) for name in OPTION_NAMES}
    assert texts["log_to_stderr"] == texts["certfile"] == "none"
    assert texts["task_runtime_metric_buckets"].startswith("0.005,0.01,")
    given = {f"FLOWER_{name.upper()}": "" if text == "none" else text for name, text in texts.items() if name != "conf"}
    assert load_config({}, given, tmp_path) == DEFAULT_CONFIG


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("FLOWER_PORT", "tcp://10.0.0.1:5555"),
        ("FLOWER_PORT", "UDP://[fd00::1]:53"),
        ("FLOWER_METRICS_PORT", "tcp://10.0.0.2:9"),
    ],
)
def test_variable_of_a_kubernetes_service_is_ignored_with_a_warning(name: str, text: str, tmp_path: Path) -> None:
    others = {
        "FLOWER_SERVICE_HOST": "10.0.0.1", "FLOWER_SERVICE_PORT": "5555", "FLOWER_PORT_5555_TCP": text,
        "FLOWER_PORT_5555_TCP_PROTO": "tcp", "FLOWER_PORT_5555_TCP_ADDR": "1.2.3.4",
    }  # fmt: skip
    warnings: list[str] = []
    assert load_config({}, {**others, name: text}, tmp_path, warn=warnings.append) == DEFAULT_CONFIG
    assert len(warnings) == 1
    assert f"{name}={text} is that of a Kubernetes service" in warnings[0]
    assert "enableServiceLinks: false" in warnings[0]


def test_url_is_not_a_port_in_other_sources(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="is not a whole number"):
        load_config({"port": "tcp://10.0.0.1:5555"}, {}, tmp_path)


@pytest.mark.parametrize("text", ["", " "])
def test_empty_db_is_the_default(text: str, tmp_path: Path) -> None:
    assert load_config({}, {"FLOWER_DB": text}, tmp_path).db == "flower-data"
    assert load_config({"db": text}, {"FLOWER_DB": "other"}, tmp_path).db == "flower-data"
    (tmp_path / "flowerconfig.py").write_text(f"db = {text!r}")
    assert load_config({}, {}, tmp_path).db == "flower-data"


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("warn", "WARNING"), ("WARN", "WARNING"), ("Critical", "CRITICAL"), ("fatal", "CRITICAL"), ("notset", "DEBUG"),
        ("none", "NONE"), ("error", "ERROR"),
    ],
)  # fmt: skip
def test_log_levels_have_the_names_of_python(name: str, level: str, tmp_path: Path) -> None:
    assert log_level(load_config({"logging": name}, {}, tmp_path)) == level


@pytest.mark.parametrize("url", ["redis://:hush@localhost:6379/0", "amqp://u:hush@x//", "redis+socket:///x", "sqs://"])
def test_broker_api_with_the_url_of_a_broker_is_ignored_with_a_warning(url: str, tmp_path: Path) -> None:
    warnings: list[str] = []
    assert load_config({"broker_api": url}, {}, tmp_path, warn=warnings.append).broker_api == ""
    assert "is the URL of a broker" in warnings[0]
    assert "hush" not in warnings[0]


def test_configuration_file_imports_modules_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [path for path in sys.path if path])
    (tmp_path / "settings_of_this_test.py").write_text("PORT = 7")
    (tmp_path / "tabnanny.py").write_text("raise AssertionError('shadows a module of the standard library')")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "conf.py").write_text("import tabnanny\nfrom settings_of_this_test import PORT as port\n")
    assert load_config({"conf": "etc/conf.py"}, {}, tmp_path).port == 7


def test_files_are_relative_to_the_directory_of_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PWD", "/seen/by/the/shell")
    monkeypatch.setenv("HOME", "/home/ann")
    config = load_config({"certfile": "a.pem", "keyfile": "~/b.pem", "ca_certs": "/c.pem"}, {}, tmp_path)
    assert (config.certfile, config.keyfile, config.ca_certs) == (
        "/seen/by/the/shell/a.pem", "/home/ann/b.pem", "/c.pem",
    )  # fmt: skip


def test_state_file_of_flower_is_not_used_as_store(tmp_path: Path) -> None:
    (tmp_path / "flower.db").write_text("a shelve")
    assert load_config({"db": "flower.db"}, {}, tmp_path).db == "flower.db-data"
    assert load_config({"db": "flower"}, {}, tmp_path).db == "flower"


def test_secrets_are_not_shown() -> None:
    config = Config(basic_auth=("a:hush",), cookie_secret="hush", broker_api="http://u:hush@x/", port=7, auth="a@b")
    assert to_log_dict(config) == {
        "basic_auth": "**", "cookie_secret": "**", "broker_api": "**", "port": "7", "auth": "a@b",
    }  # fmt: skip


def test_errors_contain_no_secrets(tmp_path: Path) -> None:
    (tmp_path / "flowerconfig.py").write_text("basic_auth = {'ann': 'hush'}\n")
    with pytest.raises(InvalidRequest) as raised:
        load_config({}, {}, tmp_path)
    assert "hush" not in str(raised.value)


def test_container_without_an_address_causes_a_warning(tmp_path: Path) -> None:
    def warnings(command_line: dict[str, str], environment: dict[str, str], *, in_container: bool = True) -> list[str]:
        messages: list[str] = []
        load_config(command_line, environment, tmp_path, warn=messages.append, in_container=in_container)
        return messages

    assert warnings({}, {}) == [UNREACHABLE_IN_CONTAINER]
    assert "--address=0.0.0.0" in UNREACHABLE_IN_CONTAINER
    assert warnings({}, {}, in_container=False) == []
    for option in ("address", "unix_socket"):
        assert warnings({option: "127.0.0.1"}, {}) == []
        assert warnings({}, {f"FLOWER_{option.upper()}": ""}) == []
    (tmp_path / "flowerconfig.py").write_text("address = '127.0.0.1'")
    assert warnings({}, {}) == []
