"""Any OpenID provider, by discovery: Keycloak, Entra ID, Auth0, Authentik, Dex, Zitadel and so on."""

import asyncio
import time
from typing import Any, Final

from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from flower.access.oauth.code_flow import CodeFlow, groups_in, vouched
from flower.access.oauth.protocol import Login, Person, Refused, Settings
from flower.errors import Invalid

#: Signatures that are believed: none with a shared secret, and not `none`.
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")

#: Seconds that clocks may differ.
_LEEWAY: Final = 60
#: Seconds after which the provider's description is asked for again.
_FRESH: Final = 3_600.0


class OpenId(CodeFlow):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        if not settings.issuer.startswith(("https://", "http://")):
            raise Invalid("OpenID needs --oidc-issuer", hint="such as https://login.example.com/realms/staff")
        self.scope = settings.scope
        self._described: dict[str, Any] = {}
        self._described_at = -_FRESH
        self._describing = asyncio.Lock()

    async def authorize_url(self, login: Login) -> str:
        await self._describe(login)
        return await super().authorize_url(login)

    async def person(self, code: str, login: Login) -> Person:
        await self._describe(login)
        return await super().person(code, login)

    def asked(self, login: Login) -> dict[str, str]:
        return {"nonce": login.nonce}

    async def find(self, client: AsyncOAuth2Client, token: dict[str, Any], login: Login) -> Person:
        claims = await self._id_claims(client, token, login)
        groups = self.settings.groups_claim
        if self._described.get("userinfo_endpoint") and ("email" not in claims or groups not in claims):
            more = await self.get(client, self._described["userinfo_endpoint"])
            if more.get("sub") != claims["sub"]:
                raise Refused("The provider speaks of two different people")
            claims = {**more, **claims}
        return Person(vouched(claims, "email_verified"), groups_in(claims, groups))

    async def _id_claims(self, client: AsyncOAuth2Client, token: dict[str, Any], login: Login) -> dict[str, Any]:
        # asked for at every login, so that a key that was exchanged is known at once
        keys = KeySet.import_key_set(await self._public(client, self._described["jwks_uri"]))
        registry = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY,
            iss={"essential": True, "value": self._described["issuer"]},
            aud={"essential": True, "value": self.settings.key},
            exp={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": login.nonce},
        )
        try:
            claims = jwt.decode(str(token.get("id_token", "")), keys, algorithms=_ALGORITHMS).claims
            registry.validate(claims)
        except (JoseError, ValueError) as error:
            raise Refused(f"The provider's word about you cannot be believed: {error}") from error
        if claims.get("azp", self.settings.key) != self.settings.key:
            raise Refused("The provider's word about you is meant for another program")
        return dict(claims)

    async def _describe(self, login: Login) -> None:
        async with self._describing:
            if time.monotonic() - self._described_at < _FRESH:
                return
            issuer = self.settings.issuer.rstrip("/")
            async with self._client(login) as client:
                found = await self._public(client, f"{issuer}/.well-known/openid-configuration")
            if str(found.get("issuer", "")).rstrip("/") != issuer:
                raise Refused(f"{issuer} says that it is {found.get('issuer')}: set --oidc-issuer to that")
            self.authorize, self.token = found["authorization_endpoint"], found["token_endpoint"]
            self._described, self._described_at = found, time.monotonic()

    async def _public(self, client: AsyncOAuth2Client, url: str) -> Any:
        answer = await client.request("GET", url, withhold_token=True)
        answer.raise_for_status()
        return answer.json()
