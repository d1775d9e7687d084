"""Who is asking, and what they may do."""

from flower.access.permissions import ANONYMOUS, PERMISSIONS, ROLES, Identity, Permission

__all__ = ["ANONYMOUS", "PERMISSIONS", "ROLES", "Identity", "Permission"]
