"""Google accounts."""

from typing import Any

from authlib.integrations.httpx_client import AsyncOAuth2Client

from flower.access.oauth.code_flow import CodeFlow, require_verified_email
from flower.access.oauth.provider import LoginAttempt, UserInfo


class Google(CodeFlow):
    authorize_endpoint = "https://accounts.google.com/o/oauth2/v2/auth"
    token_endpoint = "https://oauth2.googleapis.com/token"  # noqa: S105 - a URL
    scope = "profile email"
    userinfo_endpoint = "https://www.googleapis.com/oauth2/v1/userinfo"

    async def fetch_user(self, client: AsyncOAuth2Client, token: dict[str, Any], login: LoginAttempt) -> UserInfo:
        return UserInfo(
            require_verified_email(
                await self.get_json(client, self.userinfo_endpoint), "verified_email", "email_verified"
            )
        )
