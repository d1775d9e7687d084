"""Creates the authenticator from the configuration."""

import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Final

from flower.access.authenticator import Authenticator
from flower.access.oauth.provider import (
    EmailPredicate,
    OAuthProvider,
    ProviderSettings,
    email_allowlist,
    impossible_addresses,
)
from flower.access.password_verifier import PasswordVerifier
from flower.access.passwords import Passwords
from flower.access.permissions import parse_roles
from flower.access.sessions import CookieSigner, Sessions
from flower.access.trusted_proxy import trusted_proxy_from
from flower.config import Config
from flower.errors import InvalidRequest, StoreError
from flower.store.ledger import Ledger

log = logging.getLogger(__name__)

#: Shorter keys can be guessed from one cookie.
_MIN_SECRET_LENGTH: Final = 16


def create_authenticator(config: Config, ledger: Ledger, environment: Mapping[str, str]) -> Authenticator:
    """Raises InvalidRequest for inconsistent options, at the start of the program and not at the first login."""
    allowed = _email_predicate(config)
    passwords = Passwords(config.basic_auth)
    if 0 < len(config.cookie_secret) < _MIN_SECRET_LENGTH:
        log.warning(
            "--cookie-secret has fewer than %d characters: a client that guesses it can forge sessions. "
            "Use a long random text, or remove the option",
            _MIN_SECRET_LENGTH,
        )
    signer = CookieSigner(_session_key_loader(config.cookie_secret, ledger))
    return Authenticator(
        password_verifier=PasswordVerifier(passwords),
        roles=parse_roles(config.roles, config.own_roles),
        trusted_proxy=trusted_proxy_from(config.proxy_header, config.proxy_groups_header, config.trusted_proxies),
        email_allowed=allowed,
        oauth_provider=_create_provider(config, allowed, environment),
        sessions=Sessions(signer, ledger.sessions, passwords),
        tokens=ledger.tokens,
    )


def _email_predicate(config: Config) -> EmailPredicate | None:
    """None if OAuth is not configured. With an OpenID issuer and without `auth`, all users of the issuer may."""
    if config.auth:
        for address in impossible_addresses(config.auth):
            shown = "an entry" if _looks_like_password(address) else f"'{address}'"
            log.warning(
                "--auth: %s is not an e-mail address and admits no user. "
                "Use addresses separated by |, or .*@example.com",
                shown,
            )
        return email_allowlist(config.auth)
    return bool if config.oidc_issuer else None


def _looks_like_password(text: str) -> bool:
    """Whether the text looks like `user:password`, and must not be shown."""
    return ":" in text.partition("@")[0]


def _create_provider(
    config: Config, allowed: EmailPredicate | None, environment: Mapping[str, str]
) -> OAuthProvider | None:
    name = config.auth_provider or ("oidc" if config.oidc_issuer else "")
    if not name:
        if allowed is not None:
            hint = "set --auth-provider"
            if _looks_like_password(config.auth):
                hint = "it holds e-mail addresses; did you mean --basic-auth (FLOWER_BASIC_AUTH) for user:password?"
            raise InvalidRequest("--auth requires a login provider", hint=hint)
        return None
    if allowed is None:
        log.warning("--auth-provider has no effect without --auth: no login is required")
        return None
    from flower.access.oauth.registry import load_provider  # noqa: PLC0415 - imports an HTTP client

    settings = ProviderSettings(
        client_id=config.oauth2_key,
        client_secret=config.oauth2_secret,
        email_allowed=allowed,
        environment=environment,
        issuer=config.oidc_issuer,
        scope=config.oidc_scope,
        groups_claim=config.oidc_groups_claim,
    )
    return load_provider(name, settings)


def _session_key_loader(configured: str, ledger: Ledger) -> Callable[[], bytes]:
    def load_key() -> bytes:
        if configured:
            return configured.encode("utf-8", "surrogateescape")
        try:
            return ledger.secrets.get_or_create("cookie")
        except StoreError as error:
            log.warning("Cannot store the session key (%s): sessions end when this server stops", error)
            return secrets.token_bytes(32)

    return load_key
