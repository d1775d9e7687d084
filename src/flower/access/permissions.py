"""Permissions, roles and identities.

Every route requires one permission. The option `roles` is a list of `ann:admin`, `group:ops:operator` and `*:viewer`
(the default role). A user has the role of their name; without one, the union of the roles of their groups; without
these, the default role. If `roles` is empty, every authenticated user has all permissions, as in Flower; otherwise a
user without a role has none. The option `own_roles` defines further roles: `support:view+tasks`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, cast, get_args

from flower.errors import InvalidRequest

#: view      read tasks, workers, queues and statistics; manage one's own API tokens
#: tasks     run, re-run, revoke, terminate and abort tasks, also in bulk; task limits; failure triage; save searches
#: workers   control pools and consumers, restart and shut down workers
#: audit     read the audit log
#: tokens    list and revoke the API tokens of all users, end their sessions
#: searches  change and delete the saved searches of all users (requires `tasks` as well)
Permission: TypeAlias = Literal["view", "tasks", "workers", "audit", "tokens", "searches"]

PERMISSIONS: Final[tuple[Permission, ...]] = get_args(Permission)

ROLES: Final[Mapping[str, frozenset[Permission]]] = {
    "viewer": frozenset({"view"}),
    "operator": frozenset({"view", "tasks", "workers"}),
    "admin": frozenset(PERMISSIONS),
}

#: none     no login is configured
#: basic    name and password
#: session  a session cookie
#: token    an API token
#: proxy    the header of a trusted proxy
AuthMethod: TypeAlias = Literal["none", "basic", "session", "token", "proxy"]


@dataclass(frozen=True, slots=True)
class Identity:
    #: "" if no login is configured
    name: str
    permissions: frozenset[Permission]
    auth_method: AuthMethod
    #: the id of the API token, "" without one
    token: str = ""

    def has_permission(self, permission: Permission) -> bool:
        return permission in self.permissions


#: Every user while no login is configured.
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
        permissions = [self.by_group[group] for group in groups if group in self.by_group]
        return frozenset().union(*permissions) if permissions else self.default


def parse_roles(entries: Sequence[str], definitions: Sequence[str] = ()) -> Roles:
    """The options `roles` and `own_roles`. Raises InvalidRequest."""
    known = parse_role_definitions(definitions)
    if not entries:
        return Roles()
    by_user: dict[str, PermissionSet] = {}
    by_group: dict[str, PermissionSet] = {}
    for entry in entries:
        user, colon, role = entry.rpartition(":")
        user, role = user.strip(), role.strip()
        if not colon or not user:
            raise InvalidRequest(
                f"--roles: '{entry}' is not name:role", hint="such as ann:admin, group:ops:operator, *:viewer"
            )
        if role not in known:
            raise InvalidRequest(f"--roles: unknown role '{role}'", hint=f"choose from {', '.join(known)}")
        if user.startswith(_GROUP_PREFIX):
            by_group[user[len(_GROUP_PREFIX) :]] = known[role]
        else:
            by_user[user] = known[role]
    return Roles(by_user, by_group, by_user.pop(_DEFAULT_ROLE, frozenset()))


def parse_role_definitions(definitions: Sequence[str]) -> Mapping[str, PermissionSet]:
    """The built-in roles and those of the option `own_roles`. Raises InvalidRequest."""
    known = dict(ROLES)
    for definition in definitions:
        name, colon, permissions = definition.partition(":")
        if not colon or not name.strip():
            raise InvalidRequest(
                f"--own-roles: '{definition}' is not role:permission+permission", hint="such as support:view+tasks"
            )
        known[name.strip()] = parse_permissions(permissions.split("+"), "--own-roles")
    return known


def parse_permissions(names: Iterable[str], option: str) -> PermissionSet:
    """Raises InvalidRequest for an unknown permission."""
    words = [name.strip() for name in names]
    for word in words:
        if word not in PERMISSIONS:
            raise InvalidRequest(f"{option}: unknown permission '{word}'", hint=f"choose from {', '.join(PERMISSIONS)}")
    return cast(PermissionSet, frozenset(words))
