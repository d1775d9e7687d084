"""The authorization code flow of OAuth 2 with PKCE, as a base class of providers."""

from abc import ABC, abstractmethod
from http import HTTPStatus
from typing import Any, ClassVar, Final

from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from flower.access.oauth.provider import LoginAttempt, LoginDenied, ProviderSettings, UserInfo
from flower.errors import InvalidRequest

#: Timeout of a request to the provider in seconds.
_TIMEOUT: Final = 10.0


class CodeFlow(ABC):
    """A subclass sets the two endpoints (URLs) and the scope, and implements `fetch_user`."""

    authorize_endpoint: str = ""
    token_endpoint: str = ""
    scope: str = ""
    #: what to do if the provider does not let the application read the user's data
    permission_hint: ClassVar[str] = "Grant it the permission to read e-mail addresses, and sign in again."
    #: whether to send a code challenge; providers without PKCE ignore it
    pkce: ClassVar[bool] = True

    def __init__(self, settings: ProviderSettings) -> None:
        if not settings.client_id:
            raise InvalidRequest("--auth-provider requires --oauth2-key", hint="the client id from the provider")
        self.settings = settings

    @abstractmethod
    async def fetch_user(self, client: AsyncOAuth2Client, token: dict[str, Any], login: LoginAttempt) -> UserInfo:
        """The owner of the token. Raises LoginDenied."""

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
                raise LoginDenied(f"The provider denied the sign-in: {error.description or error.error}") from error
            return await self.fetch_user(client, dict(token), login)

    def authorization_params(self, login: LoginAttempt) -> dict[str, str]:
        """Additional parameters of the authorization URL."""
        return {}

    async def get_json(self, client: AsyncOAuth2Client, url: str, **params: Any) -> Any:
        """The JSON at a URL, requested with the token. Raises LoginDenied if the provider rejects the token."""
        response = await client.get(url, params=params or None, headers={"Accept": "application/json"})
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            raise LoginDenied("The provider rejected its own token: your user data cannot be read")
        if response.status_code == HTTPStatus.FORBIDDEN:
            raise LoginDenied(f"The provider does not let this application read your user data. {self.permission_hint}")
        response.raise_for_status()
        return response.json()

    def _client(self, login: LoginAttempt) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self.settings.client_id,
            self.settings.client_secret,
            scope=self.scope,
            redirect_uri=login.redirect_uri,
            code_challenge_method="S256" if self.pkce else None,
            # All providers accept the secret in the form.
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method
            timeout=_TIMEOUT,
            # The token is used immediately, and may be valid for seconds only.
            leeway=0,
        )

    def _pkce_verifier(self, login: LoginAttempt) -> dict[str, str]:
        return {"code_verifier": login.verifier} if self.pkce else {}


def require_verified_email(claims: dict[str, Any], *flags: str) -> tuple[str, ...]:
    """The email address in the claims. Raises LoginDenied if there is none, or a flag in the claims is not true."""
    email = claims.get("email")
    if not isinstance(email, str) or not email:
        raise LoginDenied("The provider did not send your email address")
    for flag in flags:
        # Some providers send text.
        if flag in claims and str(claims[flag]).lower() != "true":
            raise LoginDenied(f"The provider has not verified {email}")
    return (email,)


def read_groups(claims: dict[str, Any], claim: str) -> tuple[str, ...]:
    groups = claims.get(claim, ())
    if isinstance(groups, str):
        return (groups,)
    return tuple(str(group) for group in groups) if isinstance(groups, list | tuple) else ()
