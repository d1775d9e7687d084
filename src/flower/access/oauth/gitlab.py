"""GitLab, or a self-hosted GitLab at FLOWER_GITLAB_OAUTH_DOMAIN.

FLOWER_GITLAB_AUTH_ALLOWED_GROUPS (comma-separated full paths) allows only members of these groups with an access level
of at least FLOWER_GITLAB_MIN_ACCESS_LEVEL."""

from typing import Any, Final

from authlib.integrations.httpx_client import AsyncOAuth2Client

from flower.access.oauth.code_flow import CodeFlow, require_verified_email
from flower.access.oauth.provider import LoginAttempt, LoginDenied, ProviderSettings, UserInfo
from flower.errors import InvalidRequest

#: Groups per request, and maximum number of requests.
_PAGE_SIZE: Final = 100
_MAX_PAGES: Final = 50


class GitLab(CodeFlow):
    scope = "read_api"

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        environment = settings.environment
        domain = environment.get("FLOWER_GITLAB_OAUTH_DOMAIN") or "gitlab.com"
        self.authorize_endpoint = f"https://{domain}/oauth/authorize"
        self.token_endpoint = f"https://{domain}/oauth/token"
        self._api = f"https://{domain}/api/v4"
        groups = environment.get("FLOWER_GITLAB_AUTH_ALLOWED_GROUPS", "").split(",")
        self._allowed_groups = frozenset(group.strip() for group in groups) - {""}
        level = environment.get("FLOWER_GITLAB_MIN_ACCESS_LEVEL") or "20"
        if not level.isdecimal():
            raise InvalidRequest(f"FLOWER_GITLAB_MIN_ACCESS_LEVEL: '{level}' is not an integer")
        self._min_access_level = int(level)

    async def fetch_user(self, client: AsyncOAuth2Client, token: dict[str, Any], login: LoginAttempt) -> UserInfo:
        user = dict(await self.get_json(client, f"{self._api}/user"))
        if "confirmed_at" in user:
            user["confirmed"] = bool(user["confirmed_at"])
        emails = require_verified_email(user, "confirmed")
        groups = await self._memberships(client)
        if self._allowed_groups and not self._allowed_groups & set(groups):
            raise LoginDenied("You are not a member of an allowed group")
        return UserInfo(emails, groups)

    async def _memberships(self, client: AsyncOAuth2Client) -> tuple[str, ...]:
        """Full paths of the groups in which the user has the access level."""
        paths: list[str] = []
        for page in range(1, _MAX_PAGES + 1):
            groups = await self.get_json(
                client, f"{self._api}/groups", min_access_level=self._min_access_level, per_page=_PAGE_SIZE, page=page
            )
            paths += [str(group["full_path"]) for group in groups]
            if len(groups) < _PAGE_SIZE:
                break
        return tuple(paths)
