"""Checks of environment variables, options and the configuration file."""

import ast
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from flower.access_options import EMPTY_RULES
from flower.api.health.messages import pluralize
from flower.config import DEFAULT_CONFIG, OPTION_NAMES, UNREACHABLE_IN_CONTAINER, load_config, normalize_name
from flower.doctor.examination import Examination
from flower.doctor.models import Outcome
from flower.errors import InvalidRequest
from flower.similar_names import closest_match

_PREFIX: Final = "FLOWER_"
#: Variables that are no options: those of Flower, and those of the OAuth providers.
_OTHER_VARIABLES: Final = re.compile(
    r"FLOWER_(UNAUTHENTICATED_API|OAUTH2_(KEY|SECRET|REDIRECT_URI|VALIDATE|OKTA_BASE_URL)"
    r"|(GITHUB|GITLAB)_OAUTH_DOMAIN|GITLAB_AUTH_ALLOWED_GROUPS|GITLAB_MIN_ACCESS_LEVEL|DEMO_BROKER|DEMO_PACE)"
)
#: Variables that Kubernetes and Docker set for a service with the name flower.
_SERVICE_VARIABLES: Final = re.compile(r"FLOWER_(\w*_)?(SERVICE_(HOST|PORT\w*)|PORT(_\d+_(TCP|UDP|SCTP)\w*)?|NAME)")
#: Options by names of other programs that are not similar to theirs.
_SYNONYMS: Final = {
    "host": "address", "bind": "address", "listen": "address", "interface": "address", "bind_address": "address",
    "prefix": "url_prefix", "root_path": "url_prefix", "password": "basic_auth", "passwords": "basic_auth",
    "user": "basic_auth", "users": "basic_auth", "username": "basic_auth", "secret_key": "cookie_secret",
    "database": "db", "data_dir": "db", "config": "conf", "log_level": "logging", "loglevel": "logging",
    "broker_api_url": "broker_api", "google_oauth2": "oauth2_key",
}  # fmt: skip
#: Names that belong to the application or to the `celery` program, by what to write instead.
_CELERY_OPTIONS: Final = {
    "broker": "-b URL or CELERY_BROKER_URL", "broker_url": "-b URL or CELERY_BROKER_URL", "app": "-A NAME",
    "result_backend": "--result-backend or CELERY_RESULT_BACKEND",
}  # fmt: skip


def check_configuration(examination: Examination) -> Iterable[Outcome]:
    """Load the configuration as the server does, and report what it ignores."""
    findings = [*_load(examination), *_check_variables(examination), *_check_file(examination)]
    if not any(finding.status in ("warning", "error") for finding in findings):
        sources = [pluralize(len(examination.command_line), "option")] if examination.command_line else []
        count = sum(_is_option_variable(name) for name in examination.environment)
        sources += [pluralize(count, "variable")] if count else []
        path = _file_path(examination)
        sources += [str(path)] if path.exists() else []
        findings.append(Outcome("ok", f"Valid ({', '.join(sources) or 'defaults only'})"))
    return findings


def _load(examination: Examination) -> Iterator[Outcome]:
    warnings: list[str] = []

    def load(*, restricts_access: bool) -> None:
        warnings.clear()
        examination.loaded_config = load_config(
            examination.command_line, examination.environment, examination.folder, warn=warnings.append,
            in_container=examination.in_container, restricts_access=restricts_access,
        )  # fmt: skip

    try:
        load(restricts_access=True)
    except InvalidRequest as error:
        hint = f"{error.hint[:1].upper()}{error.hint[1:]}." if error.hint else "Correct the value or remove it."
        yield Outcome("error", f"The server does not start: {error.message}", hint)
        try:  # an empty option does not prevent the other checks
            load(restricts_access=False)
        except InvalidRequest:
            return
    yield from (Outcome("warning", warning) for warning in warnings if warning != UNREACHABLE_IN_CONTAINER)


def _is_option_variable(name: str) -> bool:
    return name.upper().startswith(_PREFIX) and normalize_name(name[len(_PREFIX) :]) in OPTION_NAMES


def _check_variables(examination: Examination) -> Iterator[Outcome]:
    file_text = _read_file(examination)
    for name in sorted(examination.environment):
        upper = name.upper()
        is_known = _is_option_variable(name) or _OTHER_VARIABLES.fullmatch(upper) or _SERVICE_VARIABLES.fullmatch(upper)
        if upper.startswith(_PREFIX) and not is_known and name.encode() not in file_text:
            option = normalize_name(name[len(_PREFIX) :])
            # FLOWER_USER and FLOWER_PASSWORD are often parts of the option, as in --basic-auth=$FLOWER_USER:…
            if not (option in _SYNONYMS and _is_set(examination, _SYNONYMS[option])):
                yield _unknown_name(examination, f"The environment variable {name}", option, _PREFIX)


def _is_set(examination: Examination, option: str) -> bool:
    config = examination.loaded_config
    return config is not None and getattr(config, option) != getattr(DEFAULT_CONFIG, option)


def _unknown_name(examination: Examination, origin: str, name: str, prefix: str) -> Outcome:
    while name.startswith("flower_"):
        name = name.removeprefix("flower_")
    if name in _CELERY_OPTIONS:
        return Outcome("warning", f"{origin} is not an option and is ignored", f"Use {_CELERY_OPTIONS[name]}.")
    meant = suggest_name(name)
    if meant is None:
        return Outcome("warning", f"{origin} is not an option and is ignored", "Remove it; see docs/configuration.md.")
    written = f"{prefix}{meant.upper()}" if prefix else meant
    if meant in EMPTY_RULES and not _is_set(examination, meant):
        found = f"{origin} is not an option and is ignored: it restricts no access"
        return Outcome("error", found, f"Rename it to {written}.")
    return Outcome("warning", f"{origin} is not an option and is ignored", f"Rename it to {written}.")


def suggest_name(name: str) -> str | None:
    """The option that is meant by a name that is none; None if no option is similar."""
    if name in OPTION_NAMES:
        return name
    compact = {option.replace("_", ""): option for option in OPTION_NAMES}
    return compact.get(name.replace("_", "")) or _SYNONYMS.get(name) or closest_match(name, OPTION_NAMES)


def _file_path(examination: Examination) -> Path:
    variables = {normalize_name(name): value for name, value in examination.environment.items()}
    given = examination.command_line.get("conf") or variables.get("flower_conf")
    return examination.folder / os.path.expanduser(given or DEFAULT_CONFIG.conf)


def _read_file(examination: Examination) -> bytes:
    """The configuration file; empty if it cannot be read, which is reported when it is loaded."""
    try:
        return _file_path(examination).read_bytes()
    except OSError:
        return b""


def _check_file(examination: Examination) -> Iterator[Outcome]:
    """Names that the file assigns, does not use and that are similar to an option. Other names are its variables."""
    try:
        tree = ast.parse(_read_file(examination))
    except (SyntaxError, ValueError):  # reported when it is loaded
        return
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    file = _file_path(examination).name
    for name, line in _assigned_names(tree):
        normal = normalize_name(name)
        if name not in used and normal not in OPTION_NAMES and (suggest_name(normal) or normal in _CELERY_OPTIONS):
            yield _unknown_name(examination, f"{file}, line {line}: {name}", normal, "")


def _assigned_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for statement in tree.body:
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        for target in targets:
            if isinstance(target, ast.Name) and not target.id.startswith("_"):
                yield target.id, statement.lineno
