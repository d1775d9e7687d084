"""From the options to the one object that knows who is asking."""

import logging
import secrets
from collections.abc import Callable, Mapping

from flower.access.addresses import Allows, allows
from flower.access.authenticator import Authenticator
from flower.access.oauth.protocol import Provider, Settings
from flower.access.passwords import Passwords
from flower.access.proxies import proxies_from
from flower.access.roles import roles_from
from flower.access.sessions import Sessions
from flower.config import Config
from flower.errors import Invalid, StoreError
from flower.store.ledger import Ledger

log = logging.getLogger(__name__)


def authenticator(config: Config, ledger: Ledger, environment: Mapping[str, str]) -> Authenticator:
    """Raises Invalid for options that make no sense together: when the program starts, not when somebody logs in."""
    allowed = _allowed(config)
    return Authenticator(
        passwords=Passwords(config.basic_auth),
        roles=roles_from(config.roles, config.own_roles),
        proxies=proxies_from(config.proxy_header, config.proxy_groups_header, config.trusted_proxies),
        allowed=allowed,
        provider=_provider(config, allowed, environment),
        sessions=Sessions(_secret(config.cookie_secret, ledger)),
        tokens=ledger.tokens,
    )


def _allowed(config: Config) -> Allows | None:
    """None if nobody has to log in by OAuth. An OpenID provider of one's own may decide alone who comes in."""
    if config.auth:
        return allows(config.auth)
    return bool if config.oidc_issuer else None


def _provider(config: Config, allowed: Allows | None, environment: Mapping[str, str]) -> Provider | None:
    name = config.auth_provider or ("oidc" if config.oidc_issuer else "")
    if not name:
        if allowed is not None:
            raise Invalid("--auth says who may log in, but nothing says where", hint="set --auth-provider")
        return None
    if allowed is None:
        log.warning("--auth-provider has no effect without --auth: nobody needs to log in")
        return None
    from flower.access.oauth.naming import provider_named  # noqa: PLC0415 - brings an HTTP client in

    settings = Settings(
        key=config.oauth2_key,
        secret=config.oauth2_secret,
        allowed=allowed,
        environment=environment,
        issuer=config.oidc_issuer,
        scope=config.oidc_scope,
        groups_claim=config.oidc_groups_claim,
    )
    return provider_named(name, settings)


def _secret(given: str, ledger: Ledger) -> Callable[[], bytes]:
    def secret() -> bytes:
        if given:
            return given.encode("utf-8", "surrogateescape")
        try:
            return ledger.secrets.secret("cookie")
        except StoreError as error:
            log.warning("Sessions end when this server stops: their key cannot be kept (%s)", error)
            return secrets.token_bytes(32)

    return secret
