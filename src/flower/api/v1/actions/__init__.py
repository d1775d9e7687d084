"""The table of routes that act, room by room."""

from flower.api.v1.acting import Action

ACTIONS: tuple[Action, ...] = ()
