"""Ended sessions: those of users who signed out, so that no web server accepts a copy of their cookie. Sessions are
cookies; only ended ones are stored, until they would have expired."""

from typing import Protocol


class EndedSessions(Protocol):
    """Times are epoch seconds by the server's clock. Methods raise StoreFull and StoreError."""

    def end(self, session_id: str, *, expires_at: float) -> None:
        """End one session."""

    def end_all(self, user: str | None, *, at: float, expires_at: float) -> None:
        """End all sessions of the user, None: of all users, that began until `at`. The last of them expires at
        `expires_at`."""

    def is_ended(self, session_id: str, user: str, started_at: float) -> bool:
        """Whether this session of the user was ended."""

    def prune(self, now: float) -> int:
        """Remove sessions that have expired, and return the number of removed rows."""
