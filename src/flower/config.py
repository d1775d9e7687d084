"""The frozen `Config` and the only place that reads the environment, the configuration file and the command line.

Precedence, lowest first: default, `FLOWER_<NAME>` in the environment, configuration file (Python, `flowerconfig.py` or
`--conf`), command line. Names and rules are those of Flower. The fields of `Config` are the table of options from which
the command line and the documentation are generated.
"""

import dataclasses
import math
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from flower.access_options import reject_empty
from flower.errors import InvalidRequest
from flower.option_types import Bytes, OptionType, Seconds, option_type_for, split_pairs
from flower.similar_names import closest_match


def _option(default: Any, description: str, *, secret: bool = False) -> Any:
    """A field of `Config`. A `secret` option is never shown."""
    return field(default=default, metadata={"description": description, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    address: str = _option("127.0.0.1", "address to listen on; empty = all interfaces")
    port: int = _option(5555, "port to listen on; 0 = any free port")
    url_prefix: str = _option("", "path prefix of all routes; leading and trailing slashes are ignored")
    unix_socket: str = _option("", "listen on this Unix socket instead of a port")
    xheaders: bool = _option(False, "trust X-Real-IP, X-Forwarded-For, X-Scheme and X-Forwarded-Proto")
    allowed_hosts: tuple[str, ...] = _option(
        (),
        "host names by which this server is reached (flower.example.com, .example.com); others are rejected; * = any; "
        "empty = any, except on a loopback address without a login",
    )
    certfile: str = _option("", "TLS certificate file; requires keyfile")
    keyfile: str = _option("", "TLS key file; requires certfile")
    ca_certs: str = _option("", "TLS certificate authorities file; client certificates are not requested")
    db: str = _option(
        "flower-data", "data directory; if NAME is an existing file (Flower's state file), NAME-data is used"
    )
    max_tasks: int = _option(
        10_000_000, "maximum number of stored tasks; the oldest finished tasks are removed first; 0 = unlimited"
    )
    max_age: Seconds = _option(Seconds(0), "remove tasks this long after their last event (30d, 12h); 0 = never")
    max_size: Bytes = _option(Bytes(20 * 10**9), "maximum size of the store on disk (20GB); 0 = unlimited")
    enable_events: bool = _option(True, "enable worker events (enable_events) when a worker starts, and every 30 s")
    reconcile: bool = _option(True, "query workers, result backend and broker about unfinished tasks")
    event_queue_expires: Seconds = _option(
        Seconds(3600),
        "how long RabbitMQ keeps the event queue, and how long the drain process on Redis keeps events, while the "
        "recorder is not running (1h)",
    )
    event_drain_linger: Seconds = _option(
        Seconds(60),
        "how long events are received from Redis after a planned stop, so that a restart loses none (60); 0 = not",
    )
    event_queue_length: int = _option(1_000_000, "maximum number of messages in the event queue on RabbitMQ")
    durable_events: bool = _option(True, "read the stream of durable events on Redis, if workers append to one")
    redact: tuple[str, ...] = _option(
        ("default",),
        "names of arguments whose values are never stored; * is a wildcard (default,pin*); none = store all",
    )
    redact_patterns: tuple[str, ...] = _option(
        ("default",),
        "texts that are never stored: url, bearer, jwt, private-key, api-key, signed-url, sentence, card or a regular "
        "expression; none = store all",
    )
    redact_args: tuple[str, ...] = _option(
        (), "positional arguments that are never stored: task.name:0:2 (counted from 0), or task.name:* for all"
    )
    purge_offline_workers: Seconds | None = _option(
        None, "hide workers that have been offline longer than this (300, 5m); none = never"
    )
    max_workers: int = _option(5000, "maximum number of workers whose inspection is cached")
    inspect_timeout: float = _option(1000.0, "milliseconds to wait for inspect replies of workers")
    broker_api: str = _option(
        "", "URL of the RabbitMQ management API, http://user:password@host:15672/api/", secret=True
    )
    basic_auth: tuple[str, ...] = _option((), "users: comma-separated user:password pairs", secret=True)
    roles: tuple[str, ...] = _option(
        (), "roles of users: ann:admin, group:ops:operator, *:viewer; empty = all signed-in users are admins"
    )
    own_roles: tuple[str, ...] = _option(
        (), "custom roles in addition to viewer, operator and admin: support:view+tasks"
    )
    proxy_header: str = _option(
        "", "header in which a trusted proxy passes the name of the user, e.g. X-Forwarded-User"
    )
    proxy_groups_header: str = _option(
        "", "header in which a trusted proxy passes the comma-separated groups of the user"
    )
    trusted_proxies: tuple[str, ...] = _option(
        (), "addresses or networks of proxies that may set these headers; unix = clients of the Unix socket"
    )
    auth: str = _option(
        "", "e-mail addresses that may sign in with OAuth: one, several separated by |, or .*@example.com"
    )
    auth_provider: str = _option(
        "",
        "OAuth provider: google, github, gitlab, okta, oidc, Flower's name for one of these, or a class's import path",
    )
    oauth2_key: str = _option("", "OAuth client ID")
    oauth2_secret: str = _option("", "OAuth client secret", secret=True)
    oauth2_redirect_uri: str = _option(
        "", "redirect URI registered with the OAuth provider: the external URL of /login"
    )
    oidc_issuer: str = _option("", "issuer URL of the OpenID Connect provider; discovery is used")
    oidc_scope: str = _option("openid email profile", "scopes requested from the OpenID Connect provider")
    oidc_groups_claim: str = _option("groups", "OpenID Connect claim that contains the groups of the user")
    cookie_secret: str = _option(
        "", "key that signs cookies; empty = a key in the data directory, created at the first start", secret=True
    )
    audit_max_age: Seconds = _option(
        Seconds(400 * 86_400), "retention of the audit log and of bulk job results (400d); 0 = unlimited"
    )
    read_only: bool = _option(False, "reject all requests that change anything")
    bulk_limit: int = _option(10_000, "maximum number of tasks of one bulk job")
    bulk_rate: float = _option(100.0, "maximum rate of a bulk job in tasks per second")
    auto_refresh: bool = _option(True, "refresh pages automatically")
    natural_time: bool = _option(False, "show relative timestamps (5 minutes ago)")
    tasks_columns: str = _option("name,uuid,state,received,runtime,worker", "columns of the task table")
    log_url: str = _option(
        "", "URL of a task's logs; placeholders: {uuid}, {root_id}, {name}, {worker}, {pid}, {start}, {end}"
    )
    format_task: Callable[[Any], Any] | None = _option(
        None, "function that changes how a task is displayed; only in the configuration file"
    )
    task_runtime_metric_buckets: tuple[float, ...] = _option(
        (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
        "bucket bounds of the runtime histogram in seconds; inf is added",
    )
    metrics_token: str = _option("", "bearer token required for /metrics", secret=True)
    metrics_port: int = _option(0, "serve /metrics on this port instead of the main port; 0 = main port")
    metrics_max_names: int = _option(
        1000,
        "maximum number of label values for each of worker, task type, event type and queue; the rest is __other__",
    )
    metrics_max_pairs: int = _option(20_000, "maximum number of (worker, task type) pairs with their own series")
    persistent: bool = _option(True, "ignored (Flower compatibility): tasks are always stored")
    state_save_interval: int = _option(0, "ignored (Flower compatibility): tasks are stored at once")
    debug: bool = _option(False, "debug logging, including requests; error pages show tracebacks")
    logging: str = _option("info", "log level: debug, info, warning, error, critical or none")
    log_file_prefix: str = _option("", "log file, used instead of standard error")
    log_file_max_size: int = _option(100_000_000, "size in bytes at which the log file is rotated")
    log_file_num_backups: int = _option(10, "number of rotated log files to keep")
    log_rotate_mode: str = _option("size", "rotate the log file by size or by time")
    log_rotate_when: str = _option("midnight", "unit of time-based rotation: S, M, H, D, W0 to W6 or midnight")
    log_rotate_interval: int = _option(1, "number of log_rotate_when units between rotations")
    log_to_stderr: bool | None = _option(None, "log to standard error; none = only without a log file")
    conf: str = _option("flowerconfig.py", "configuration file (Python)")


#: Warning of a server in a container that listens on the default address.
UNREACHABLE_IN_CONTAINER = (
    "No address is configured, so the pages are only reachable from inside this container. To publish the port, set "
    "--address=0.0.0.0 (FLOWER_ADDRESS), and require a login with --basic-auth or another method"
)
#: Appended to the name of the data directory if that name is an existing file.
STORE_SUFFIX = "-data"

DEFAULT_CONFIG = Config()
OPTION_HINTS: Mapping[str, Any] = get_type_hints(Config)
OPTION_FIELDS: Mapping[str, "dataclasses.Field[Any]"] = {each.name: each for each in dataclasses.fields(Config)}
OPTION_NAMES = tuple(OPTION_FIELDS)
OPTION_TYPES: Mapping[str, OptionType] = {
    **{name: option_type_for(OPTION_HINTS[name]) for name in OPTION_NAMES},
    "basic_auth": dataclasses.replace(option_type_for(OPTION_HINTS["basic_auth"]), parse=split_pairs),
}
#: Groups of options for help and documentation, by their first option.
OPTION_GROUPS: Mapping[str, str] = {
    "address": "Address and TLS",
    "db": "Store and retention",
    "enable_events": "Events",
    "purge_offline_workers": "Workers and queues",
    "basic_auth": "Authentication and permissions",
    "auto_refresh": "Pages",
    "task_runtime_metric_buckets": "Metrics",
    "persistent": "Accepted for compatibility with Flower",
    "debug": "Logging",
    "conf": "Path of the configuration file",
}


def is_boolean(name: str) -> bool:
    return OPTION_HINTS[name] in (bool, bool | None)


def normalize_name(name: str) -> str:
    """The canonical form of an option name; `-` and `_` are equivalent in every source."""
    return name.strip().lower().replace("-", "_")


def option_flag(name: str) -> str:
    """The option as written on the command line."""
    return f"--{name.replace('_', '-')}"


def suggest_option(name: str) -> str | None:
    """The option whose name is most similar, or None."""
    match = closest_match(normalize_name(name), OPTION_NAMES)
    return match.replace("_", "-") if match else None


def default_text(name: str) -> str:
    """The default as written in an option table; `none` if there is no default."""
    return _value_text(OPTION_FIELDS[name].default) or "none"


def to_log_dict(config: Config) -> dict[str, str]:
    """The options that differ from the defaults as text, secrets masked."""
    values = {
        name: _value_text(getattr(config, name))
        for name in OPTION_NAMES
        if getattr(config, name) != OPTION_FIELDS[name].default
    }
    return {name: "**" if OPTION_FIELDS[name].metadata["secret"] else text for name, text in values.items()}


def log_level(config: Config) -> str:
    """The log level in upper case: CRITICAL, ERROR, WARNING, INFO, DEBUG or NONE. `debug` selects DEBUG unless another
    level than the default is configured."""
    level = config.logging.upper()
    return "DEBUG" if config.debug and level == "INFO" else _LEVEL_SYNONYMS.get(level, level)


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


def load_config(
    command_line: Mapping[str, str],
    environment: Mapping[str, str],
    folder: Path | None = None,
    *,
    warn: Callable[[str], None] = lambda message: None,
    in_container: bool = False,
    restricts_access: bool = False,
) -> Config:
    """Read all sources. `command_line` maps canonical names to texts; `warn` receives a message for each value that is
    ignored, and for a server `in_container` that is unreachable from outside. `restricts_access`: options of access
    must not be empty if they are given. Raises InvalidRequest."""
    folder = folder or Path.cwd()
    values = _read_environment(environment, warn)
    origins = {name: f"The environment variable FLOWER_{name.upper()}" for name in values}
    explicit = command_line.get("conf") or values.get("conf")
    path = folder / os.path.expanduser(explicit or DEFAULT_CONFIG.conf)
    in_file = _read_file(path, folder, must_exist=bool(explicit))
    values |= in_file | {name: _parse_option_text(name, text, option_flag(name)) for name, text in command_line.items()}
    origins |= {name: f"{path.name}: {name}" for name in in_file} | {name: option_flag(name) for name in command_line}
    if in_container and not {"address", "unix_socket"} & values.keys():
        warn(UNREACHABLE_IN_CONTAINER)
    config = Config(**values)
    if restricts_access:
        reject_empty({name: getattr(config, name) for name in OPTION_NAMES}, origins)
    return _resolve_paths(_validate(_without_broker_as_api(config, warn)), folder)


#: The value of a variable that Kubernetes sets in every pod for each port of a service: FLOWER_PORT for a service named
#: flower, FLOWER_METRICS_PORT for flower-metrics. Docker's links set the same.
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://", re.IGNORECASE)


def _read_environment(environment: Mapping[str, str], warn: Callable[[str], None]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, text in environment.items():
        if not key.upper().startswith("FLOWER_") or (name := normalize_name(key[7:])) not in OPTION_HINTS:
            continue
        if OPTION_HINTS[name] is int and _SERVICE_ADDRESS.match(text.strip()):
            warn(
                f"The environment variable {key}={text.strip()} is that of a Kubernetes service and is ignored. Set "
                f"{option_flag(name)} to choose a port, and enableServiceLinks: false to remove the variable"
            )
            continue
        values[name] = _parse_option_text(name, text, f"environment variable {key}")
    return values


def _read_file(path: Path, folder: Path, *, must_exist: bool) -> dict[str, Any]:
    """Execute the file. Modules of the project in the working directory can be imported, as celery permits it for
    `-A`."""
    if path.exists() and not {"", str(folder)} & set(sys.path):
        sys.path.append(str(folder))  # after the installed modules: a file of the project must not replace one of them
    namespace: dict[str, Any] = {"__file__": str(path)}
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), namespace)  # noqa: S102 - Flower's configuration file is Python
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
    # An imported module, such as `import logging`, is not an option value.
    options = (
        (normalize_name(key), key, value) for key, value in namespace.items() if not isinstance(value, ModuleType)
    )
    return {
        name: _check_file_value(name, value, f"{path.name}: {key}")
        for name, key, value in options
        if name in OPTION_HINTS
    }


def _check_file_value(name: str, value: Any, origin: str) -> Any:
    """Convert a value from the configuration file: a text is parsed as in every source, None means the default."""
    if isinstance(value, str):
        return _parse_option_text(name, value, origin)
    if value is None:
        return OPTION_FIELDS[name].default
    try:
        return OPTION_TYPES[name].check(value)
    except ValueError as error:
        shown = "the value given" if OPTION_FIELDS[name].metadata["secret"] else repr(value)
        raise InvalidRequest(f"{origin}: {name} must be {OPTION_TYPES[name].name}, not {shown}") from error


def _parse_option_text(name: str, text: str, origin: str) -> Any:
    try:
        return OPTION_TYPES[name].parse(text)
    except ValueError as error:
        shown = "the value given" if OPTION_FIELDS[name].metadata["secret"] else f"'{text}'"
        raise InvalidRequest(f"{origin}: {shown} is not {OPTION_TYPES[name].name}") from error


#: Names of Python for the same level. NOTSET logs everything.
_LEVEL_SYNONYMS: Mapping[str, str] = {"WARN": "WARNING", "FATAL": "CRITICAL", "NOTSET": "DEBUG"}
#: Options with a fixed set of values.
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "logging": ("debug", "info", "warning", "error", "critical", "none", "warn", "fatal", "notset"),
    "log_rotate_mode": ("size", "time"),
    "log_rotate_when": ("S", "M", "H", "D", "W0", "W1", "W2", "W3", "W4", "W5", "W6", "midnight"),
}
_MIN_VALUES: Mapping[str, float] = {
    **dict.fromkeys(("max_tasks", "max_age", "max_size", "max_workers", "purge_offline_workers", "audit_max_age"), 0),
    **dict.fromkeys(("event_queue_expires", "event_drain_linger", "event_queue_length"), 0),
    **dict.fromkeys(("log_file_max_size", "log_file_num_backups"), 0),
    **dict.fromkeys(("log_rotate_interval", "inspect_timeout", "bulk_limit"), 1),
    **dict.fromkeys(("metrics_max_names", "metrics_max_pairs"), 1),
    "bulk_rate": 0.01,
}


def _validate(config: Config) -> Config:
    for name in ("port", "metrics_port"):
        if not 0 <= getattr(config, name) <= 65535:
            raise InvalidRequest(f"{option_flag(name)}={getattr(config, name)}: must be a port from 0 to 65535")
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
    if bad := [pair for pair in config.basic_auth if not all(pair.partition(":"))]:
        raise InvalidRequest(
            f"--basic-auth: entries must be user:password; invalid entries: {len(bad)}",
            hint="neither the user nor the password can be empty",
        )
    if bool(config.certfile) != bool(config.keyfile):
        raise InvalidRequest("Both 'certfile' and 'keyfile' are required to enable SSL")
    if reason := _broker_api_error(config.broker_api):
        raise InvalidRequest(f"Invalid '--broker-api' option: {reason}")
    if set(config.url_prefix) & set("{}?#%\\") or any(part in (".", "..") for part in config.url_prefix.split("/")):
        raise InvalidRequest(
            f"--url-prefix={config.url_prefix}: must not contain {{ }} ? # % \\ or a path segment . or .."
        )
    return config


#: Schemes of broker URLs. A management API has none of them.
_BROKER_SCHEMES = frozenset({"amqp", "amqps", "pyamqp", "redis", "rediss", "sentinel", "sqs", "memory", "filesystem"})


def _without_broker_as_api(config: Config, warn: Callable[[str], None]) -> Config:
    """The configuration without a `broker_api` that is the URL of a broker, which early versions of Flower accepted."""
    scheme = config.broker_api.partition("://")[0].strip().lower()
    if scheme.partition("+")[0] not in _BROKER_SCHEMES:
        return config
    warn(
        f"--broker-api is the URL of a broker ({scheme}://…) and is ignored: it must be the http or https URL of "
        "RabbitMQ's management API. The broker is set with celery -b URL or by the application"
    )
    return dataclasses.replace(config, broker_api="")


def _broker_api_error(address: str) -> str:
    """Why the URL of the management API is invalid, in Flower's words and without its password; "" if it is valid."""
    if not address:
        return ""
    try:
        url = urlsplit(address)
        url.port  # noqa: B018 - raises for an invalid port
    except ValueError:
        return "not a URL"
    if url.scheme not in ("http", "https"):
        return f"invalid scheme '{url.scheme}', expected 'http' or 'https'"
    return "" if url.hostname else "no host in url"


def _resolve_paths(config: Config, folder: Path) -> Config:
    """Resolve everything that depends on the working directory."""
    files: dict[str, Any] = {
        name: _absolute_path(getattr(config, name)) for name in ("certfile", "keyfile", "ca_certs")
    }
    # An empty name is the default, not the working directory: `FLOWER_DB=${FLOWER_DB}` with an unset variable.
    db = config.db if config.db.strip() else DEFAULT_CONFIG.db
    # Flower's state file must not be overwritten, and a drop-in replacement must not fail to start because of it.
    db = f"{db}{STORE_SUFFIX}" if (folder / db).is_file() else db
    buckets = tuple(sorted({bound for bound in config.task_runtime_metric_buckets if math.isfinite(bound)}))
    return dataclasses.replace(config, **files, db=db, task_runtime_metric_buckets=buckets)


def _absolute_path(path: str) -> str:
    """Absolute path relative to $PWD, which keeps symbolic links, as in Flower."""
    return os.path.join(os.environ.get("PWD") or os.getcwd(), os.path.expanduser(path)) if path else ""
