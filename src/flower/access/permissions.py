"""What may be permitted, and the roles that are ready-made lists of it. Every route names one permission.

Who is asking.

Who has which role.

`roles` is a list of `ann:admin`, `group:ops:operator` and `*:viewer` (everybody else). A person has the role of their
name; without one, those of their groups together; without these, that of `*`. If nothing at all is said everybody who
is logged in may do everything, as in Flower; if something is said, whoever it does not speak of may do nothing.
`own_roles` makes further roles: `support:view+tasks`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, cast, get_args

from flower.errors import InvalidRequest

#: view      see tasks, workers, queues, figures
#: tasks     run, run again, revoke, terminate and abort tasks, one or in bulk; limits of a task
#: workers   pools, consumers, restarting and shutting down of workers
#: audit     see what everybody did
#: tokens    see and revoke everybody's API tokens
Permission: TypeAlias = Literal["view", "tasks", "workers", "audit", "tokens"]

PERMISSIONS: Final[tuple[Permission, ...]] = get_args(Permission)

ROLES: Final[Mapping[str, frozenset[Permission]]] = {
    "viewer": frozenset({"view"}),
    "operator": frozenset({"view", "tasks", "workers"}),
    "admin": frozenset(PERMISSIONS),
}

#: How somebody is known: not at all, by password, by a session after a login, by a token, by the word of a proxy.
AuthMethod: TypeAlias = Literal["none", "basic", "session", "token", "proxy"]


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
ANONYMOUS: Final = Identity("", frozenset(PERMISSIONS), "none")

PermissionSet = frozenset[Permission]

_DEFAULT_ROLE: Final = "*"

_GROUP_PREFIX: Final = "group:"


@dataclass(frozen=True, slots=True)
class Roles:
    by_user: Mapping[str, PermissionSet] = field(default_factory=dict)
    by_group: Mapping[str, PermissionSet] = field(default_factory=dict)
    default: PermissionSet = frozenset(PERMISSIONS)

    def permissions(self, name: str, groups: Iterable[str] = ()) -> PermissionSet:
        if name in self.by_user:
            return self.by_user[name]
        found = [self.by_group[group] for group in groups if group in self.by_group]
        return frozenset().union(*found) if found else self.default


def parse_roles(given: Sequence[str], own: Sequence[str] = ()) -> Roles:
    """Raises Invalid."""
    if not given:
        parse_role_definitions(own)
        return Roles()
    known = parse_role_definitions(own)
    named: dict[str, PermissionSet] = {}
    grouped: dict[str, PermissionSet] = {}
    for entry in given:
        who, colon, role = entry.rpartition(":")
        who, role = who.strip(), role.strip()
        if not colon or not who:
            raise InvalidRequest(
                f"--roles: '{entry}' is not name:role", hint="such as ann:admin, group:ops:operator, *:viewer"
            )
        if role not in known:
            raise InvalidRequest(f"--roles: there is no role '{role}'", hint=f"there are {', '.join(known)}")
        if who.startswith(_GROUP_PREFIX):
            grouped[who[len(_GROUP_PREFIX) :]] = known[role]
        else:
            named[who] = known[role]
    return Roles(named, grouped, named.pop(_DEFAULT_ROLE, frozenset()))


def parse_role_definitions(own: Sequence[str]) -> Mapping[str, PermissionSet]:
    """The ready-made roles and own ones. Raises Invalid."""
    known = dict(ROLES)
    for entry in own:
        name, colon, permissions = entry.partition(":")
        if not colon or not name.strip():
            raise InvalidRequest(
                f"--own-roles: '{entry}' is not role:permission+permission", hint="such as support:view+tasks"
            )
        known[name.strip()] = parse_permissions(permissions.split("+"), "--own-roles")
    return known


def parse_permissions(names: Iterable[str], where: str) -> PermissionSet:
    """Raises Invalid for a name that is none."""
    words = [name.strip() for name in names]
    for word in words:
        if word not in PERMISSIONS:
            raise InvalidRequest(
                f"{where}: there is no permission '{word}'", hint=f"there are {', '.join(PERMISSIONS)}"
            )
    return cast(PermissionSet, frozenset(words))
