"""One frozen Config; environment, file and command line become it here and nowhere else.

Precedence, lowest first: default, `FLOWER_<NAME>` in the environment, configuration file (Python,
`flowerconfig.py` or `--conf`), command line. Names and rules are Flower's; the fields of `Config`
are the table of options that the command line and the documentation are printed from.
"""

import ast
import dataclasses
import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from flower.errors import Invalid

TRUE = frozenset({"y", "yes", "t", "true", "on", "1"})
FALSE = frozenset({"n", "no", "f", "false", "off", "0"})


class Seconds(float):
    """A duration; as text `90`, `15m`, `12h`, `30d`."""


class Bytes(int):
    """A size; as text `500000`, `500MB`, `10GB`."""


def _option(default: Any, sentence: str) -> Any:
    return field(default=default, metadata={"sentence": sentence})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    address: str = _option("127.0.0.1", "address to listen on; empty = all interfaces")
    port: int = _option(5555, "port to listen on; 0 = any free one")
    url_prefix: str = _option("", "serve everything under this path")
    db: str = _option("flower-data", "directory of the store")
    max_tasks: int = _option(10_000_000, "tasks to keep; the oldest finished ones go first; 0 = no limit")
    max_age: Seconds = _option(Seconds(0), "forget tasks this long after their last event (30d, 12h); 0 = never")
    max_size: Bytes = _option(Bytes(20 * 10**9), "bytes the store may take on disk (20GB); 0 = no limit")
    enable_events: bool = _option(True, "tell workers every 5 s to send events")
    event_queue_expires: Seconds = _option(
        Seconds(3600), "how long RabbitMQ keeps events for us while we are away (1h)"
    )
    event_queue_length: int = _option(1_000_000, "how many messages it keeps meanwhile")
    redact: tuple[str, ...] = _option(
        ("default",), "names of arguments whose values are never kept, * is anything (default,pin*); none = keep all"
    )
    redact_patterns: tuple[str, ...] = _option(
        ("default",), "texts that are never kept: url, bearer, jwt, private-key, card or an expression; none = keep all"
    )
    redact_args: tuple[str, ...] = _option(
        (), "positional arguments that are never kept: task.name:0:2, counted from 0, or task.name:* for all"
    )
    purge_offline_workers: Seconds | None = _option(
        None, "leave workers out that have been offline for so long (300, 5m); none = never"
    )
    inspect_timeout: float = _option(1000.0, "milliseconds to wait for the answers of workers")
    broker_api: str = _option("", "management API of RabbitMQ, http://user:password@host:15672/api/")
    unix_socket: str = _option("", "listen on this path instead of a port")
    xheaders: bool = _option(False, "believe X-Real-Ip, X-Forwarded-For, X-Scheme and X-Forwarded-Proto")
    certfile: str = _option("", "TLS: the certificate; needs keyfile")
    keyfile: str = _option("", "TLS: the key; needs certfile")
    ca_certs: str = _option("", "TLS: certificates of authorities that clients' certificates are checked against")
    basic_auth: tuple[str, ...] = _option((), "who may log in: user:password, several separated by commas")
    roles: tuple[str, ...] = _option(
        (), "who may do what: ann:admin, group:ops:operator, *:viewer; empty = whoever is logged in may do everything"
    )
    own_roles: tuple[str, ...] = _option((), "further roles beside viewer, operator and admin: support:view+tasks")
    proxy_header: str = _option("", "header in which a trusted proxy names who is logged in, such as X-Forwarded-User")
    proxy_groups_header: str = _option("", "header in which it lists their groups, commas between")
    trusted_proxies: tuple[str, ...] = _option(
        (), "addresses or networks of the proxies that may set these headers; unix = whoever uses our unix socket"
    )
    auth: str = _option("", "e-mail addresses that may log in by OAuth: one, several with | between, or .*@example.com")
    auth_provider: str = _option(
        "", "google, github, gitlab, okta, oidc, Flower's name of one of these, or the import path of a class"
    )
    oauth2_key: str = _option("", "client id at the OAuth provider")
    oauth2_secret: str = _option("", "client secret at the OAuth provider")
    oauth2_redirect_uri: str = _option("", "address of /login as the OAuth provider knows it")
    oidc_issuer: str = _option("", "base address of an OpenID provider; its description is found there")
    oidc_scope: str = _option("openid email profile", "scopes to ask it for")
    oidc_groups_claim: str = _option("groups", "the claim that lists somebody's groups")
    cookie_secret: str = _option("", "signs cookies; empty = kept in the store's directory, made at the first start")
    read_only: bool = _option(False, "refuse everything that changes something")
    bulk_limit: int = _option(10_000, "tasks that one bulk job may take")
    bulk_rate: float = _option(100.0, "tasks a second that a bulk job works off at most")
    auto_refresh: bool = _option(True, "pages show news by themselves")
    natural_time: bool = _option(False, "tell times as 5 minutes ago")
    tasks_columns: str = _option("name,uuid,state,received,runtime,worker", "columns of the tasks table")
    format_task: Callable[[Any], Any] | None = _option(
        None, "function that changes how a task is shown; only in the configuration file"
    )
    task_runtime_metric_buckets: tuple[float, ...] = _option(
        (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
        "upper bounds of the run time histogram in seconds; infinity is added",
    )
    persistent: bool = _option(True, "of Flower; tasks are always kept")
    state_save_interval: int = _option(0, "of Flower; tasks are always saved at once")
    max_workers: int = _option(5000, "workers to remember")
    debug: bool = _option(False, "log more")
    logging: str = _option("info", "debug, info, warning, error or none")
    log_file_prefix: str = _option("", "write the log to this file instead of standard error")
    log_file_max_size: int = _option(100_000_000, "bytes of a log file before the next one is begun")
    log_file_num_backups: int = _option(10, "log files to keep")
    log_rotate_mode: str = _option("size", "begin a new log file by size or by time")
    log_rotate_when: str = _option("midnight", "by time: S, M, H, D, W0 to W6 or midnight")
    log_rotate_interval: int = _option(1, "by time: every so many of these")
    log_to_stderr: bool = _option(False, "log to standard error, too, when there is a log file")
    conf: str = _option("flowerconfig.py", "configuration file (Python)")


DEFAULTS = Config()
TYPES: Mapping[str, type] = get_type_hints(Config)
NAMES = tuple(each.name for each in dataclasses.fields(Config))


def is_boolean(name: str) -> bool:
    return TYPES[name] is bool


def canonical(name: str) -> str:
    """`-` and `_` are the same in every source."""
    return name.strip().lower().replace("-", "_")


def nearest(name: str) -> str | None:
    close = difflib.get_close_matches(canonical(name), NAMES, n=1)
    return close[0].replace("_", "-") if close else None


def load(command_line: Mapping[str, str], environment: Mapping[str, str], folder: Path | None = None) -> Config:
    """`command_line` holds what was given, by canonical name. Raises Invalid in plain words."""
    values: dict[str, Any] = {}
    for key, text in environment.items():
        if key.upper().startswith("FLOWER_") and (name := canonical(key[7:])) in TYPES:
            values[name] = _parse(name, text, f"environment variable {key}")
    explicit = "conf" in command_line or "conf" in values
    path = (folder or Path.cwd()) / os.path.expanduser(command_line.get("conf") or values.get("conf") or DEFAULTS.conf)
    values.update(_read_file(path, must_exist=explicit))
    for name, text in command_line.items():
        values[name] = _parse(name, text, f"--{name.replace('_', '-')}")
    return _checked(Config(**values))


def _checked(config: Config) -> Config:
    if not 0 <= config.port <= 65535:
        raise Invalid(f"--port={config.port}: ports are 0 to 65535")
    if config.logging.lower() not in ("debug", "info", "warning", "error", "none"):
        raise Invalid(f"--logging={config.logging}: must be debug, info, warning, error or none")
    for name in ("max_tasks", "max_age", "max_size", "event_queue_expires", "event_queue_length"):
        if getattr(config, name) < 0:
            raise Invalid(f"--{name.replace('_', '-')} must not be negative")
    for name, least in (("bulk_limit", 1), ("bulk_rate", 0.01)):
        if not getattr(config, name) >= least:
            raise Invalid(f"--{name.replace('_', '-')} must be at least {least}")
    if bad := [pair for pair in config.basic_auth if ":" not in pair]:
        raise Invalid(f"--basic-auth: {len(bad)} of the entries are not user:password")
    return config


def _read_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    if not path.exists():
        if must_exist:
            raise Invalid(f"The configuration file {path} does not exist")
        return {}
    names: dict[str, Any] = {"__file__": str(path)}
    try:
        source = path.read_text()
        ast.parse(source, str(path))
        exec(compile(source, str(path), "exec"), names)  # noqa: S102 - Flower's configuration file is Python
    except Exception as error:
        raise Invalid(f"The configuration file {path} cannot be read: {type(error).__name__}: {error}") from error
    values = {}
    for key, value in names.items():
        name = canonical(key)
        if name in TYPES:
            values[name] = _parse(name, value, f"{path.name}: {key}") if isinstance(value, str) else _check(name, value)
    return values


def _check(name: str, value: Any) -> Any:
    if name == "format_task" and (value is None or callable(value)):
        return value
    kind = TYPES[name]
    if kind == tuple[str, ...] and isinstance(value, Iterable):
        return tuple(str(each) for each in value)
    number = int | float if issubclass(kind, float) else int
    if issubclass(kind, int | float) and isinstance(value, number) and isinstance(value, bool) is (kind is bool):
        return kind(value)
    raise Invalid(f"{name} must be {_type_name(kind)}, not {value!r}")


def _parse(name: str, text: str, where: str) -> Any:
    kind = TYPES[name]
    try:
        if kind is bool:
            return _parse_bool(text)
        if kind == tuple[str, ...]:
            return _joined(name, tuple(part.strip() for part in text.split(",") if part.strip()))
        if kind is Seconds or kind is Bytes:
            return _parse_unit(kind, text)
        return kind(text)
    except ValueError as error:
        raise Invalid(f"{where}: '{text}' is not {_type_name(kind)}") from error


def _joined(name: str, parts: tuple[str, ...]) -> tuple[str, ...]:
    """Hashes of passwords have commas in them: what was cut there is joined again."""
    if name != "basic_auth":
        return parts
    pairs: list[str] = []
    for part in parts:
        if pairs and ":$" in pairs[-1] and ":" not in part:
            pairs[-1] += f",{part}"
        else:
            pairs.append(part)
    return tuple(pairs)


def _parse_bool(text: str) -> bool:
    word = text.strip().lower()
    if word not in TRUE | FALSE:
        raise ValueError(text)
    return word in TRUE


def _parse_unit(kind: type, text: str) -> Any:
    import humanfriendly  # noqa: PLC0415 - only needed when somebody sets such an option

    try:
        return kind(humanfriendly.parse_timespan(text) if kind is Seconds else humanfriendly.parse_size(text))
    except humanfriendly.InvalidTimespan as error:
        raise ValueError(text) from error
    except humanfriendly.InvalidSize as error:
        raise ValueError(text) from error


def _type_name(kind: Any) -> str:
    names = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        Seconds: "a duration such as 90, 15m, 12h or 30d",
        Bytes: "a size such as 500MB or 10GB",
    }
    return names.get(kind, "a list" if kind == tuple[str, ...] else "a text")
