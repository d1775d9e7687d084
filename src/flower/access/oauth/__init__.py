"""Logging in at somebody else's: the protocol of a provider, and the ones that are ready."""

from flower.access.oauth.protocol import Login, Person, Provider, Refused, Settings

__all__ = ["Login", "Person", "Provider", "Refused", "Settings"]
