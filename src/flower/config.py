"""One frozen Config; environment, file and command line become it here and nowhere else.

Precedence, lowest first: default, `FLOWER_<NAME>` in the environment, configuration file (Python,
`flowerconfig.py` or `--conf`), command line. Names and rules are Flower's; the fields of `Config`
are the table of options that the command line and the documentation are printed from.
"""

import dataclasses
import difflib
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from flower.errors import InvalidRequest
from flower.option_types import Bytes, OptionType, Seconds, option_type_for, split_pairs


def _option(default: Any, description: str, *, secret: bool = False) -> Any:
    """What is `secret` is never shown."""
    return field(default=default, metadata={"sentence": description, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    address: str = _option("127.0.0.1", "address to listen on; empty = all interfaces")
    port: int = _option(5555, "port to listen on; 0 = any free one")
    url_prefix: str = _option("", "serve everything under this path; slashes at its ends make no difference")
    unix_socket: str = _option("", "listen on this path instead of a port")
    xheaders: bool = _option(False, "believe X-Real-Ip, X-Forwarded-For, X-Scheme and X-Forwarded-Proto")
    certfile: str = _option("", "TLS: the certificate; needs keyfile")
    keyfile: str = _option("", "TLS: the key; needs certfile")
    ca_certs: str = _option("", "TLS: authorities for the TLS context; clients are not asked for certificates")
    db: str = _option(
        "flower-data", "directory of the store; where a file of that name is (Flower's state), NAME-data is used"
    )
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
    max_workers: int = _option(5000, "workers to remember")
    inspect_timeout: float = _option(1000.0, "milliseconds to wait for the answers of workers")
    broker_api: str = _option("", "management API of RabbitMQ, http://user:password@host:15672/api/", secret=True)
    basic_auth: tuple[str, ...] = _option((), "who may log in: user:password, several separated by commas", secret=True)
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
    oauth2_secret: str = _option("", "client secret at the OAuth provider", secret=True)
    oauth2_redirect_uri: str = _option("", "address of /login as the OAuth provider knows it")
    oidc_issuer: str = _option("", "base address of an OpenID provider; its description is found there")
    oidc_scope: str = _option("openid email profile", "scopes to ask it for")
    oidc_groups_claim: str = _option("groups", "the claim that lists somebody's groups")
    cookie_secret: str = _option(
        "", "signs cookies; empty = kept in the store's directory, made at the first start", secret=True
    )
    audit_max_age: Seconds = _option(
        Seconds(400 * 86_400), "keep the audit log and the outcomes of jobs for so long (400d); 0 = always"
    )
    read_only: bool = _option(False, "refuse everything that changes something")
    bulk_limit: int = _option(10_000, "tasks that one bulk job may take")
    bulk_rate: float = _option(100.0, "tasks a second that a bulk job works off at most")
    auto_refresh: bool = _option(True, "pages show news by themselves")
    natural_time: bool = _option(False, "tell times as 5 minutes ago")
    tasks_columns: str = _option("name,uuid,state,received,runtime,worker", "columns of the tasks table")
    log_url: str = _option(
        "", "address of a task's logs: {uuid}, {root_id}, {name}, {worker}, {pid}, {start} and {end} are filled in"
    )
    format_task: Callable[[Any], Any] | None = _option(
        None, "function that changes how a task is shown; only in the configuration file"
    )
    task_runtime_metric_buckets: tuple[float, ...] = _option(
        (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
        "upper bounds of the run time histogram in seconds; inf is added",
    )
    metrics_token: str = _option("", "/metrics is only for who sends this as a bearer token", secret=True)
    metrics_port: int = _option(0, "serve /metrics on this port and no longer on the other one; 0 = on the same")
    metrics_max_names: int = _option(
        1000, "workers, task types, event types and queues, of each, that metrics tell apart; the rest is __other__"
    )
    metrics_max_pairs: int = _option(20_000, "pairs of a worker and a task type that metrics tell apart")
    persistent: bool = _option(True, "of Flower, without effect: tasks are always kept")
    state_save_interval: int = _option(0, "of Flower, without effect: tasks are saved at once")
    debug: bool = _option(False, "log more, requests too; pages of errors show tracebacks")
    logging: str = _option("info", "debug, info, warning, error or none")
    log_file_prefix: str = _option("", "write the log to this file instead of standard error")
    log_file_max_size: int = _option(100_000_000, "bytes of a log file before the next one is begun")
    log_file_num_backups: int = _option(10, "log files to keep")
    log_rotate_mode: str = _option("size", "begin a new log file by size or by time")
    log_rotate_when: str = _option("midnight", "by time: S, M, H, D, W0 to W6 or midnight")
    log_rotate_interval: int = _option(1, "by time: every so many of these")
    log_to_stderr: bool | None = _option(None, "log to standard error; none = unless there is a log file")
    conf: str = _option("flowerconfig.py", "configuration file (Python)")


#: Added to the name of the store's folder where a file of that name is.
STORE_SUFFIX = "-data"

DEFAULT_CONFIG = Config()
OPTION_HINTS: Mapping[str, Any] = get_type_hints(Config)
OPTION_FIELDS: Mapping[str, "dataclasses.Field[Any]"] = {each.name: each for each in dataclasses.fields(Config)}
OPTION_NAMES = tuple(OPTION_FIELDS)
OPTION_TYPES: Mapping[str, OptionType] = {
    **{name: option_type_for(OPTION_HINTS[name]) for name in OPTION_NAMES},
    "basic_auth": dataclasses.replace(option_type_for(OPTION_HINTS["basic_auth"]), parse=split_pairs),
}


def is_boolean(name: str) -> bool:
    return OPTION_HINTS[name] in (bool, bool | None)


def normalize_name(name: str) -> str:
    """`-` and `_` are the same in every source."""
    return name.strip().lower().replace("-", "_")


def option_flag(name: str) -> str:
    """The name as people write it on the command line."""
    return f"--{name.replace('_', '-')}"


def suggest_option(name: str) -> str | None:
    close = difflib.get_close_matches(normalize_name(name), OPTION_NAMES, n=1)
    return close[0].replace("_", "-") if close else None


def default_text(name: str) -> str:
    """The default as one would write it; `none` if there is none."""
    return _value_text(OPTION_FIELDS[name].default) or "none"


def to_log_dict(config: Config) -> dict[str, str]:
    """What differs from the defaults, fit for a log."""
    given = {
        name: _value_text(getattr(config, name))
        for name in OPTION_NAMES
        if getattr(config, name) != OPTION_FIELDS[name].default
    }
    return {name: "**" if OPTION_FIELDS[name].metadata["secret"] else text for name, text in given.items()}


def log_level(config: Config) -> str:
    """`debug` makes us talkative, unless another level than the usual one was asked for."""
    return "DEBUG" if config.debug and config.logging.lower() == "info" else config.logging.upper()


def _value_text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(_value_text, value))
        case float():
            return f"{value:g}" if abs(value) < 1e6 else repr(float(value))
        case _:
            return getattr(value, "__name__", None) or str(value)


def load_config(command_line: Mapping[str, str], environment: Mapping[str, str], folder: Path | None = None) -> Config:
    """`command_line` holds what was given, by canonical name. Raises Invalid in plain words."""
    folder = folder or Path.cwd()
    values: dict[str, Any] = {}
    for key, text in environment.items():
        if key.upper().startswith("FLOWER_") and (name := normalize_name(key[7:])) in OPTION_HINTS:
            values[name] = _parse_option_text(name, text, f"environment variable {key}")
    explicit = command_line.get("conf") or values.get("conf")
    values |= _read_file(folder / os.path.expanduser(explicit or DEFAULT_CONFIG.conf), must_exist=bool(explicit))
    values |= {name: _parse_option_text(name, text, option_flag(name)) for name, text in command_line.items()}
    return _resolve_paths(_validate(Config(**values)), folder)


def _read_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    names: dict[str, Any] = {"__file__": str(path)}
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), names)  # noqa: S102 - Flower's configuration file is Python
    except FileNotFoundError as error:
        if error.filename != str(path):
            raise InvalidRequest(f"The configuration file {path} cannot be read: {error}") from error
        if must_exist:
            raise InvalidRequest(f"The configuration file {path} does not exist") from error
        return {}
    except Exception as error:
        raise InvalidRequest(
            f"The configuration file {path} cannot be read: {type(error).__name__}: {error}"
        ) from error
    # `import logging` sets no option.
    found = ((normalize_name(key), key, value) for key, value in names.items() if not isinstance(value, ModuleType))
    return {
        name: _check_file_value(name, value, f"{path.name}: {key}")
        for name, key, value in found
        if name in OPTION_HINTS
    }


def _check_file_value(name: str, value: Any, origin: str) -> Any:
    """A value out of the file: a text is read as in every source, None means the default."""
    if isinstance(value, str):
        return _parse_option_text(name, value, origin)
    if value is None:
        return OPTION_FIELDS[name].default
    try:
        return OPTION_TYPES[name].check(value)
    except ValueError as error:
        said = "the value given" if OPTION_FIELDS[name].metadata["secret"] else repr(value)
        raise InvalidRequest(f"{origin}: {name} must be {OPTION_TYPES[name].name}, not {said}") from error


def _parse_option_text(name: str, text: str, origin: str) -> Any:
    try:
        return OPTION_TYPES[name].parse(text)
    except ValueError as error:
        hint = ""
        if "://" in text and name == "port":
            hint = "Kubernetes sets this for a service named flower: enableServiceLinks: false, or give --port"
        said = "the value given" if OPTION_FIELDS[name].metadata["secret"] else f"'{text}'"
        raise InvalidRequest(f"{origin}: {said} is not {OPTION_TYPES[name].name}", hint=hint) from error


#: Options with few values.
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "logging": ("debug", "info", "warning", "error", "none"),
    "log_rotate_mode": ("size", "time"),
    "log_rotate_when": ("S", "M", "H", "D", "W0", "W1", "W2", "W3", "W4", "W5", "W6", "midnight"),
}
_MIN_VALUES: Mapping[str, float] = {
    **dict.fromkeys(("max_tasks", "max_age", "max_size", "max_workers", "purge_offline_workers", "audit_max_age"), 0),
    **dict.fromkeys(("event_queue_expires", "event_queue_length", "log_file_max_size", "log_file_num_backups"), 0),
    **dict.fromkeys(("log_rotate_interval", "inspect_timeout", "bulk_limit"), 1),
    **dict.fromkeys(("metrics_max_names", "metrics_max_pairs"), 1),
    "bulk_rate": 0.01,
}


def _validate(config: Config) -> Config:
    for name in ("port", "metrics_port"):
        if not 0 <= getattr(config, name) <= 65535:
            raise InvalidRequest(f"{option_flag(name)}={getattr(config, name)}: ports are 0 to 65535")
    for name, choices in _CHOICES.items():
        if getattr(config, name).lower() not in (choice.lower() for choice in choices):
            raise InvalidRequest(
                f"{option_flag(name)}={getattr(config, name)}: must be {', '.join(choices[:-1])} or {choices[-1]}"
            )
    for name, least in _MIN_VALUES.items():
        value = getattr(config, name)
        if value is not None and not least <= value < math.inf:
            raise InvalidRequest(
                f"{option_flag(name)} must not be negative"
                if not least
                else f"{option_flag(name)} must be {least:g} or more"
            )
    if bad := [pair for pair in config.basic_auth if ":" not in pair]:
        raise InvalidRequest(f"--basic-auth: {len(bad)} of the entries are not user:password")
    if bool(config.certfile) != bool(config.keyfile):
        raise InvalidRequest("Both 'certfile' and 'keyfile' are required to enable SSL")
    if reason := _broker_api_error(config.broker_api):
        raise InvalidRequest(f"Invalid '--broker-api' option: {reason}")
    if set(config.url_prefix) & set("{}?#%\\") or any(part in (".", "..") for part in config.url_prefix.split("/")):
        raise InvalidRequest(f"--url-prefix={config.url_prefix}: this cannot be the beginning of a path")
    return config


def _broker_api_error(address: str) -> str:
    """Why this is no address of a management API; in Flower's words, and never with its password."""
    if not address:
        return ""
    try:
        url = urlsplit(address)
        url.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        return "this is no address"
    if url.scheme not in ("http", "https"):
        return f"invalid scheme '{url.scheme}', expected 'http' or 'https'"
    return "" if url.hostname else "no host in url"


def _resolve_paths(config: Config, folder: Path) -> Config:
    """With whatever depends on where we are."""
    files: dict[str, Any] = {
        name: _absolute_path(getattr(config, name)) for name in ("certfile", "keyfile", "ca_certs")
    }
    # Flower's state file is not ours to overwrite, and a start that fails would be no replacement.
    db = f"{config.db}{STORE_SUFFIX}" if (folder / config.db).is_file() else config.db
    buckets = tuple(sorted({bound for bound in config.task_runtime_metric_buckets if math.isfinite(bound)}))
    return dataclasses.replace(config, **files, db=db, task_runtime_metric_buckets=buckets)


def _absolute_path(path: str) -> str:
    """Seen from where the shell is: $PWD keeps symbolic links, as in Flower."""
    return os.path.join(os.environ.get("PWD") or os.getcwd(), os.path.expanduser(path)) if path else ""
