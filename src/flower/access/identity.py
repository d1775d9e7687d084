"""Who is asking."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from flower.access.permissions import PERMISSIONS, Permission

#: How somebody is known: not at all, by password, by a session after a login, by a token, by the word of a proxy.
Way: TypeAlias = Literal["nobody", "basic", "session", "token", "proxy"]


@dataclass(frozen=True, slots=True)
class Identity:
    #: "" where nobody had to say who they are
    name: str
    permissions: frozenset[Permission]
    way: Way
    #: the id of the API token, "" without one
    token: str = ""

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions


#: Whoever asks while no login is configured.
ANYONE: Final = Identity("", frozenset(PERMISSIONS), "nobody")
