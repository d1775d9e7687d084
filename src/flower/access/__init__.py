"""Authentication and authorization."""

from flower.access.permissions import ANONYMOUS, PERMISSIONS, ROLES, Identity, Permission

__all__ = ["ANONYMOUS", "PERMISSIONS", "ROLES", "Identity", "Permission"]
