"""Loads the provider of the option `auth_provider`: a short name, an import path of Flower, or that of any class."""

import importlib
from collections.abc import Mapping
from typing import Any, Final, cast

from flower.access.oauth.provider import OAuthProvider, ProviderSettings
from flower.errors import FlowerError, InvalidRequest

_BUILTIN_PROVIDERS: Final[Mapping[str, str]] = {
    "google": "flower.access.oauth.google:Google",
    "github": "flower.access.oauth.github:GitHub",
    "gitlab": "flower.access.oauth.gitlab:GitLab",
    "okta": "flower.access.oauth.okta:Okta",
    "oidc": "flower.access.oauth.oidc:OpenId",
}
_FLOWER_ALIASES: Final[Mapping[str, str]] = {
    "flower.views.auth.GoogleAuth2LoginHandler": "google",
    "flower.views.auth.GithubLoginHandler": "github",
    "flower.views.auth.GitLabLoginHandler": "gitlab",
    "flower.views.auth.OktaLoginHandler": "okta",
}


def load_provider(name: str, settings: ProviderSettings) -> OAuthProvider:
    """Raises InvalidRequest, at the start of the program and not at the first login."""
    kind = _import_class(_BUILTIN_PROVIDERS.get(_FLOWER_ALIASES.get(name, name.lower()), name))
    _validate_class(name, kind)
    try:
        return cast(OAuthProvider, kind(settings))
    except FlowerError:
        raise
    except Exception as error:
        raise InvalidRequest(f"--auth-provider: {name} cannot be created: {type(error).__name__}: {error}") from error


def _import_class(path: str) -> Any:
    module, _, attribute = path.replace(":", ".").rpartition(".")
    try:
        if not module:
            raise ImportError("it is neither an import path nor the name of a provider")
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == "tornado":
            raise _tornado_error(path) from error
        raise _import_error(path, error) from error
    except Exception as error:
        raise _import_error(path, error) from error


def _import_error(path: str, error: Exception) -> InvalidRequest:
    if path.startswith("flower.views."):
        hint = f"choose from {', '.join(_FLOWER_ALIASES)}"
    else:
        hint = f"use an import path such as company.login.Provider, or one of {', '.join(_BUILTIN_PROVIDERS)}"
    return InvalidRequest(f"--auth-provider: {path} cannot be imported: {error}", hint=hint)


def _tornado_error(path: str) -> InvalidRequest:
    return InvalidRequest(
        f"--auth-provider: {path} is a Tornado handler, which is not supported",
        hint="derive it from flower.access.oauth.code_flow.CodeFlow, see docs/security.md",
    )


def _validate_class(name: str, kind: Any) -> None:
    bases = getattr(kind, "__mro__", ())
    if any(base.__module__.partition(".")[0] == "tornado" for base in bases):
        raise _tornado_error(name)
    missing = [method for method in ("authorize_url", "authenticate") if not callable(getattr(kind, method, None))]
    if not isinstance(kind, type) or missing:
        raise InvalidRequest(
            f"--auth-provider: {name} is not a class with the methods authorize_url and authenticate",
            hint="see 'Your own provider' in docs/security.md",
        )
