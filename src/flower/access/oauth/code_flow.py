"""The authorization code flow of OAuth 2 with PKCE. Between providers a few addresses and one method differ."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final

from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from flower.access.oauth.provider import LoginAttempt, LoginDenied, ProviderSettings, UserInfo
from flower.errors import InvalidRequest

#: Seconds for each request to the provider.
_TIMEOUT: Final = 10.0


class CodeFlow(ABC):
    """`authorize` and `token` are addresses. A subclass says who a token belongs to (`find`)."""

    authorize_endpoint: str = ""
    token_endpoint: str = ""
    scope: str = ""
    #: whether the provider takes a challenge; those that do not know it ignore it
    pkce: ClassVar[bool] = True

    def __init__(self, settings: ProviderSettings) -> None:
        if not settings.client_id:
            raise InvalidRequest("--auth-provider needs --oauth2-key", hint="the client id that the provider gave you")
        self.settings = settings

    @abstractmethod
    async def fetch_user(self, client: AsyncOAuth2Client, token: dict[str, Any], login: LoginAttempt) -> UserInfo:
        """Who the token belongs to. Raises Refused."""

    async def authorize_url(self, login: LoginAttempt) -> str:
        async with self._client(login) as client:
            url, _ = client.create_authorization_url(
                self.authorize_endpoint,
                state=login.state,
                **self._pkce_verifier(login),
                **self.authorization_params(login),
            )
        return str(url)

    async def authenticate(self, code: str, login: LoginAttempt) -> UserInfo:
        async with self._client(login) as client:
            try:
                token = await client.fetch_token(
                    self.token_endpoint, code=code, grant_type="authorization_code", **self._pkce_verifier(login)
                )
            except OAuthError as error:
                raise LoginDenied(f"The provider refused this login: {error.description or error.error}") from error
            return await self.fetch_user(client, dict(token), login)

    def authorization_params(self, login: LoginAttempt) -> dict[str, str]:
        """Further parameters of the authorize address."""
        return {}

    async def get_json(self, client: AsyncOAuth2Client, url: str, **parameters: Any) -> Any:
        """JSON, asked with the token. Raises Refused if the provider says no."""
        answer = await client.get(url, params=parameters or None, headers={"Accept": "application/json"})
        if answer.status_code in (401, 403):
            raise LoginDenied("The provider does not tell who you are: it refused the token that it gave")
        answer.raise_for_status()
        return answer.json()

    def _client(self, login: LoginAttempt) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self.settings.client_id,
            self.settings.client_secret,
            scope=self.scope,
            redirect_uri=login.redirect_uri,
            code_challenge_method="S256" if self.pkce else None,
            # in the form, as all of them take it
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method
            timeout=_TIMEOUT,
            # the token is used at once, and may be one that lasts only seconds
            leeway=0,
        )

    def _pkce_verifier(self, login: LoginAttempt) -> dict[str, str]:
        return {"code_verifier": login.verifier} if self.pkce else {}


def require_verified_email(claims: dict[str, Any], *flags: str) -> tuple[str, ...]:
    """The address in these claims, unless one of the flags that are there denies it."""
    address = claims.get("email")
    if not isinstance(address, str) or not address:
        raise LoginDenied("The provider did not tell your e-mail address")
    for flag in flags:
        # some send it as text
        if flag in claims and str(claims[flag]).lower() != "true":
            raise LoginDenied(f"{address} has not been verified by the provider")
    return (address,)


def read_groups(claims: dict[str, Any], claim: str) -> tuple[str, ...]:
    found = claims.get(claim, ())
    if isinstance(found, str):
        return (found,)
    return tuple(str(group) for group in found) if isinstance(found, list | tuple) else ()
