"""Google."""

from typing import Any

from authlib.integrations.httpx_client import AsyncOAuth2Client

from flower.access.oauth.code_flow import CodeFlow, vouched
from flower.access.oauth.protocol import Login, Person


class Google(CodeFlow):
    authorize = "https://accounts.google.com/o/oauth2/v2/auth"
    token = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    scope = "profile email"
    userinfo = "https://www.googleapis.com/oauth2/v1/userinfo"

    async def find(self, client: AsyncOAuth2Client, token: dict[str, Any], login: Login) -> Person:
        return Person(vouched(await self.get(client, self.userinfo), "verified_email", "email_verified"))
