"""Who is asking, and what they may do."""

from flower.access.identity import ANONYMOUS, Identity
from flower.access.permissions import PERMISSIONS, ROLES, Permission

__all__ = ["ANONYMOUS", "PERMISSIONS", "ROLES", "Identity", "Permission"]
