"""OpenID Connect with discovery: Keycloak, Entra ID, Auth0, Authentik, Dex, Zitadel and others."""

import asyncio
import time
from typing import Any, Final

from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from flower.access.oauth.code_flow import CodeFlow, read_groups, require_verified_email
from flower.access.oauth.provider import LoginAttempt, LoginDenied, ProviderSettings, UserInfo
from flower.errors import InvalidRequest

#: Accepted signature algorithms: none with a shared secret, and not `none`.
_SIGNATURE_ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip

#: Maximum difference of clocks in seconds.
_CLOCK_LEEWAY: Final = 60
#: Seconds after which the provider's metadata is loaded again.
_DISCOVERY_MAX_AGE: Final = 3_600.0
#: Seconds after a failure in which it is not loaded: every client can cause a request to the provider.
_DISCOVERY_RETRY_DELAY: Final = 5.0


class OpenId(CodeFlow):
    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        if not settings.issuer.startswith(("https://", "http://")):
            raise InvalidRequest(
                "OpenID Connect requires --oidc-issuer", hint="such as https://login.example.com/realms/staff"
            )
        self.scope = settings.scope
        self._metadata: dict[str, Any] = {}
        self._metadata_loaded_at = -_DISCOVERY_MAX_AGE
        self._metadata_retry_at = 0.0
        self._metadata_lock = asyncio.Lock()

    async def authorize_url(self, login: LoginAttempt) -> str:
        await self._load_metadata(login)
        return await super().authorize_url(login)

    async def authenticate(self, code: str, login: LoginAttempt) -> UserInfo:
        await self._load_metadata(login)
        return await super().authenticate(code, login)

    def authorization_params(self, login: LoginAttempt) -> dict[str, str]:
        return {"nonce": login.nonce}

    async def fetch_user(self, client: AsyncOAuth2Client, token: dict[str, Any], login: LoginAttempt) -> UserInfo:
        claims = await self._verify_id_token(client, token, login)
        groups_claim = self.settings.groups_claim
        if self._metadata.get("userinfo_endpoint") and ("email" not in claims or groups_claim not in claims):
            user_info = await self.get_json(client, self._metadata["userinfo_endpoint"])
            if user_info.get("sub") != claims["sub"]:
                raise LoginDenied("The provider's ID token and user info belong to different users")
            claims = {**user_info, **claims}
        return UserInfo(require_verified_email(claims, "email_verified"), read_groups(claims, groups_claim))

    async def _verify_id_token(
        self, client: AsyncOAuth2Client, token: dict[str, Any], login: LoginAttempt
    ) -> dict[str, Any]:
        # Loaded for every login, so that a rotated key is known at once.
        keys = KeySet.import_key_set(await self._get_public_json(client, self._metadata["jwks_uri"]))
        registry = jwt.JWTClaimsRegistry(
            leeway=_CLOCK_LEEWAY,
            iss={"essential": True, "value": self._metadata["issuer"]},
            aud={"essential": True, "value": self.settings.client_id},
            exp={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": login.nonce},
        )
        try:
            claims = jwt.decode(str(token.get("id_token", "")), keys, algorithms=_SIGNATURE_ALGORITHMS).claims
            registry.validate(claims)
        except (JoseError, ValueError) as error:
            raise LoginDenied(f"The provider's ID token is invalid: {error}") from error
        if claims.get("azp", self.settings.client_id) != self.settings.client_id:
            raise LoginDenied("The provider's ID token was issued for another application")
        return dict(claims)

    async def _load_metadata(self, login: LoginAttempt) -> None:
        async with self._metadata_lock:
            if time.monotonic() - self._metadata_loaded_at < _DISCOVERY_MAX_AGE:
                return
            if time.monotonic() < self._metadata_retry_at:
                raise ConnectionError("The provider's metadata could not be loaded a few seconds ago")
            issuer = self.settings.issuer.rstrip("/")
            try:
                async with self._client(login) as client:
                    metadata = await self._get_public_json(client, f"{issuer}/.well-known/openid-configuration")
            except Exception:
                self._metadata_retry_at = time.monotonic() + _DISCOVERY_RETRY_DELAY
                raise
            if str(metadata.get("issuer", "")).rstrip("/") != issuer:
                raise LoginDenied(f"{issuer} has the issuer {metadata.get('issuer')}: set --oidc-issuer to it")
            self.authorize_endpoint = metadata["authorization_endpoint"]
            self.token_endpoint = metadata["token_endpoint"]
            self._metadata, self._metadata_loaded_at = metadata, time.monotonic()

    async def _get_public_json(self, client: AsyncOAuth2Client, url: str) -> Any:
        response = await client.request("GET", url, withhold_token=True)
        response.raise_for_status()
        return response.json()
