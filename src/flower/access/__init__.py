"""Who is asking, and what they may do."""

from flower.access.identity import ANYONE, Identity
from flower.access.permissions import PERMISSIONS, ROLES, Permission

__all__ = ["ANYONE", "PERMISSIONS", "ROLES", "Identity", "Permission"]
