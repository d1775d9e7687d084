"""Logging in at somebody else's: the protocol of a provider, and the ones that are ready."""

from flower.access.oauth.provider import LoginAttempt, LoginDenied, OAuthProvider, ProviderSettings, UserInfo

__all__ = ["LoginAttempt", "LoginDenied", "OAuthProvider", "ProviderSettings", "UserInfo"]
