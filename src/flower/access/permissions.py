"""What may be permitted, and the roles that are ready-made lists of it. Every route names one permission."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, get_args

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
