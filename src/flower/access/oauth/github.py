"""GitHub, or a GitHub Enterprise Server at FLOWER_GITHUB_OAUTH_DOMAIN."""

from typing import Any, Final

from authlib.integrations.httpx_client import AsyncOAuth2Client

from flower.access.oauth.code_flow import CodeFlow
from flower.access.oauth.provider import LoginAttempt, LoginDenied, ProviderSettings, UserInfo

_DEFAULT_DOMAIN: Final = "github.com"


class GitHub(CodeFlow):
    scope = "user:email"
    permission_hint = (
        "A GitHub App needs the account permission “Email addresses: Read-only”: set it on the Permissions page of the "
        "app. An OAuth app needs none."
    )

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        domain = settings.environment.get("FLOWER_GITHUB_OAUTH_DOMAIN") or _DEFAULT_DOMAIN
        self.authorize_endpoint = f"https://{domain}/login/oauth/authorize"
        self.token_endpoint = f"https://{domain}/login/oauth/access_token"
        self._api = "https://api.github.com" if domain == _DEFAULT_DOMAIN else f"https://{domain}/api/v3"

    async def fetch_user(self, client: AsyncOAuth2Client, token: dict[str, Any], login: LoginAttempt) -> UserInfo:
        emails = await self.get_json(client, f"{self._api}/user/emails")
        verified = [email for email in emails if email.get("verified") is True]
        if not verified:
            raise LoginDenied("Your GitHub account has no verified email address")
        verified.sort(key=lambda email: not email.get("primary"))
        return UserInfo(tuple(str(email["email"]) for email in verified))
