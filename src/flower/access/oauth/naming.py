"""From the option `auth_provider` to a provider: Flower's import paths, short names, or a class of your own."""

import importlib
from collections.abc import Mapping
from typing import Any, Final, cast

from flower.access.oauth.protocol import Provider, Settings
from flower.errors import FlowerError, Invalid

_OURS: Final[Mapping[str, str]] = {
    "google": "flower.access.oauth.google:Google",
    "github": "flower.access.oauth.github:GitHub",
    "gitlab": "flower.access.oauth.gitlab:GitLab",
    "okta": "flower.access.oauth.okta:Okta",
    "oidc": "flower.access.oauth.oidc:OpenId",
}
_FLOWERS: Final[Mapping[str, str]] = {
    "flower.views.auth.GoogleAuth2LoginHandler": "google",
    "flower.views.auth.GithubLoginHandler": "github",
    "flower.views.auth.GitLabLoginHandler": "gitlab",
    "flower.views.auth.OktaLoginHandler": "okta",
}


def provider_named(name: str, settings: Settings) -> Provider:
    """Raises Invalid, when the program starts and not when somebody logs in."""
    kind = _class_named(_OURS.get(_FLOWERS.get(name, name.lower()), name))
    _check(name, kind)
    try:
        return cast(Provider, kind(settings))
    except FlowerError:
        raise
    except Exception as error:
        raise Invalid(f"--auth-provider: {name} cannot be made: {type(error).__name__}: {error}") from error


def _class_named(path: str) -> Any:
    module, _, attribute = path.replace(":", ".").rpartition(".")
    try:
        if not module:
            raise ImportError("it is neither an import path nor a provider's name")
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == "tornado":
            raise _tornado(path) from error
        raise _not_imported(path, error) from error
    except Exception as error:
        raise _not_imported(path, error) from error


def _not_imported(path: str, error: Exception) -> Invalid:
    if path.startswith("flower.views."):
        hint = f"there are {', '.join(_FLOWERS)}"
    else:
        hint = f"an import path such as company.login.OurProvider, or one of {', '.join(_OURS)}"
    return Invalid(f"--auth-provider: {path} cannot be imported: {error}", hint=hint)


def _tornado(path: str) -> Invalid:
    return Invalid(
        f"--auth-provider: {path} is a handler for Tornado, which this program does not run on",
        hint="derive it from flower.access.oauth.code_flow.CodeFlow, see docs/security.md",
    )


def _check(name: str, kind: Any) -> None:
    bases = getattr(kind, "__mro__", ())
    if any(base.__module__.partition(".")[0] == "tornado" for base in bases):
        raise _tornado(name)
    missing = [method for method in ("authorize_url", "person") if not callable(getattr(kind, method, None))]
    if not isinstance(kind, type) or missing:
        raise Invalid(
            f"--auth-provider: {name} is no class with the methods authorize_url and person",
            hint="see 'A provider of your own' in docs/security.md",
        )
