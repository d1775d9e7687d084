"""Okta: FLOWER_OAUTH2_OKTA_BASE_URL is the base URL of its endpoints, such as https://example.okta.com/oauth2."""

from typing import Any

from authlib.integrations.httpx_client import AsyncOAuth2Client

from flower.access.oauth.code_flow import CodeFlow, read_groups, require_verified_email
from flower.access.oauth.provider import LoginAttempt, LoginDenied, ProviderSettings, UserInfo
from flower.errors import InvalidRequest


class Okta(CodeFlow):
    scope = "openid email"

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        base = settings.environment.get("FLOWER_OAUTH2_OKTA_BASE_URL", "").rstrip("/")
        if not base:
            raise InvalidRequest(
                "Okta requires FLOWER_OAUTH2_OKTA_BASE_URL", hint="such as https://example.okta.com/oauth2"
            )
        self.authorize_endpoint = f"{base}/v1/authorize"
        self.token_endpoint = f"{base}/v1/token"
        self._userinfo_endpoint = f"{base}/v1/userinfo"

    async def fetch_user(self, client: AsyncOAuth2Client, token: dict[str, Any], login: LoginAttempt) -> UserInfo:
        claims = dict(await self.get_json(client, self._userinfo_endpoint))
        if "email_verified" not in claims:
            raise LoginDenied("Okta did not confirm that your email address is verified")
        return UserInfo(
            require_verified_email(claims, "email_verified"), read_groups(claims, self.settings.groups_claim)
        )
