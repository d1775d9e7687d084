"""Okta: FLOWER_OAUTH2_OKTA_BASE_URL is the base of its OAuth addresses, such as https://example.okta.com/oauth2."""

from typing import Any

from authlib.integrations.httpx_client import AsyncOAuth2Client

from flower.access.oauth.code_flow import CodeFlow, groups_in, vouched
from flower.access.oauth.protocol import Login, Person, Refused, Settings
from flower.errors import Invalid


class Okta(CodeFlow):
    scope = "openid email"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        base = settings.environment.get("FLOWER_OAUTH2_OKTA_BASE_URL", "").rstrip("/")
        if not base:
            raise Invalid("Okta needs FLOWER_OAUTH2_OKTA_BASE_URL", hint="such as https://example.okta.com/oauth2")
        self.authorize = f"{base}/v1/authorize"
        self.token = f"{base}/v1/token"
        self._userinfo = f"{base}/v1/userinfo"

    async def find(self, client: AsyncOAuth2Client, token: dict[str, Any], login: Login) -> Person:
        claims = dict(await self.get(client, self._userinfo))
        if "email_verified" not in claims:
            raise Refused("Okta does not say that your e-mail address is verified")
        return Person(vouched(claims, "email_verified"), groups_in(claims, self.settings.groups_claim))
