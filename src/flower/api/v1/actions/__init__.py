"""The table of routes that act, room by room."""

from flower.api.v1.acting import Action
from flower.api.v1.actions import access

ACTIONS: tuple[Action, ...] = (*access.ACTIONS,)
