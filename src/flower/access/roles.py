"""Who has which role.

`roles` is a list of `ann:admin`, `group:ops:operator` and `*:viewer` (everybody else). A person has the role of their
name; without one, those of their groups together; without these, that of `*`. If nothing at all is said everybody who
is logged in may do everything, as in Flower; if something is said, whoever it does not speak of may do nothing.
`own_roles` makes further roles: `support:view+tasks`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from flower.access.permissions import PERMISSIONS, ROLES, Permission
from flower.errors import Invalid

Permissions = frozenset[Permission]

_EVERYBODY: Final = "*"
_GROUP: Final = "group:"


@dataclass(frozen=True, slots=True)
class Roles:
    named: Mapping[str, Permissions] = field(default_factory=dict)
    grouped: Mapping[str, Permissions] = field(default_factory=dict)
    others: Permissions = frozenset(PERMISSIONS)

    def permissions(self, name: str, groups: Iterable[str] = ()) -> Permissions:
        if name in self.named:
            return self.named[name]
        found = [self.grouped[group] for group in groups if group in self.grouped]
        return frozenset().union(*found) if found else self.others


def roles_from(given: Sequence[str], own: Sequence[str] = ()) -> Roles:
    """Raises Invalid."""
    if not given:
        roles_known(own)
        return Roles()
    known = roles_known(own)
    named: dict[str, Permissions] = {}
    grouped: dict[str, Permissions] = {}
    for entry in given:
        who, colon, role = entry.rpartition(":")
        who, role = who.strip(), role.strip()
        if not colon or not who:
            raise Invalid(
                f"--roles: '{entry}' is not name:role", hint="such as ann:admin, group:ops:operator, *:viewer"
            )
        if role not in known:
            raise Invalid(f"--roles: there is no role '{role}'", hint=f"there are {', '.join(known)}")
        if who.startswith(_GROUP):
            grouped[who[len(_GROUP) :]] = known[role]
        else:
            named[who] = known[role]
    return Roles(named, grouped, named.pop(_EVERYBODY, frozenset()))


def roles_known(own: Sequence[str]) -> Mapping[str, Permissions]:
    """The ready-made roles and own ones. Raises Invalid."""
    known = dict(ROLES)
    for entry in own:
        name, colon, permissions = entry.partition(":")
        if not colon or not name.strip():
            raise Invalid(
                f"--own-roles: '{entry}' is not role:permission+permission", hint="such as support:view+tasks"
            )
        known[name.strip()] = permissions_from(permissions.split("+"), "--own-roles")
    return known


def permissions_from(names: Iterable[str], where: str) -> Permissions:
    """Raises Invalid for a name that is none."""
    words = [name.strip() for name in names]
    for word in words:
        if word not in PERMISSIONS:
            raise Invalid(f"{where}: there is no permission '{word}'", hint=f"there are {', '.join(PERMISSIONS)}")
    return cast(Permissions, frozenset(words))
