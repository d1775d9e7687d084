"""Login by OAuth 2 and OpenID Connect: the provider protocol, and the built-in providers."""

from flower.access.oauth.provider import LoginAttempt, LoginDenied, OAuthProvider, ProviderSettings, UserInfo

__all__ = ["LoginAttempt", "LoginDenied", "OAuthProvider", "ProviderSettings", "UserInfo"]
