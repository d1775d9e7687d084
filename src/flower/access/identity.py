"""Who is asking."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from flower.access.permissions import PERMISSIONS, Permission

#: How somebody is known: not at all, by password, by a session after a login, by a token, by the word of a proxy.
AuthMethod: TypeAlias = Literal["nobody", "basic", "session", "token", "proxy"]


@dataclass(frozen=True, slots=True)
class Identity:
    #: "" where nobody had to say who they are
    name: str
    permissions: frozenset[Permission]
    auth_method: AuthMethod
    #: the id of the API token, "" without one
    token: str = ""

    def has_permission(self, permission: Permission) -> bool:
        return permission in self.permissions


#: Whoever asks while no login is configured.
ANONYMOUS: Final = Identity("", frozenset(PERMISSIONS), "nobody")
