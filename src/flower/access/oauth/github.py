"""GitHub, also an Enterprise Server: FLOWER_GITHUB_OAUTH_DOMAIN."""

from typing import Any, Final

from authlib.integrations.httpx_client import AsyncOAuth2Client

from flower.access.oauth.code_flow import CodeFlow
from flower.access.oauth.protocol import Login, Person, Refused, Settings

_PUBLIC: Final = "github.com"


class GitHub(CodeFlow):
    scope = "user:email"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        domain = settings.environment.get("FLOWER_GITHUB_OAUTH_DOMAIN") or _PUBLIC
        self.authorize = f"https://{domain}/login/oauth/authorize"
        self.token = f"https://{domain}/login/oauth/access_token"
        self._api = "https://api.github.com" if domain == _PUBLIC else f"https://{domain}/api/v3"

    async def find(self, client: AsyncOAuth2Client, token: dict[str, Any], login: Login) -> Person:
        emails = await self.get(client, f"{self._api}/user/emails")
        verified = [each for each in emails if each.get("verified") is True]
        if not verified:
            raise Refused("GitHub knows no verified e-mail address of yours")
        verified.sort(key=lambda each: not each.get("primary"))
        return Person(tuple(str(each["email"]) for each in verified))
