"""Audit entries of sign-ins. Unauthenticated clients cause them, and must not be able to fill the disk: failed sign-ins
beyond a limit are counted, and the count is one entry per interval."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from limits import RateLimitItem, RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from flower.client_network import client_network
from flower.errors import StoreError
from flower.store.ledger.audit import Audit

log = logging.getLogger(__name__)

#: The actions in the audit log.
LOGIN_ACTION: Final = "login"
LOGOUT_ACTION: Final = "logout"

#: Entries of failed sign-ins per hour, of one address and in all.
ADDRESS_LIMIT: Final = RateLimitItemPerHour(20, namespace="address")
TOTAL_LIMIT: Final = RateLimitItemPerHour(100, namespace="all")

#: Seconds between two entries that contain a count.
COUNT_INTERVAL: Final = 300.0

#: Addresses that are counted separately, and those that an entry names: the ones with the highest counts.
_MAX_COUNTED_ADDRESSES: Final = 1_000
_MAX_NAMED_ADDRESSES: Final = 10
_OTHER_ADDRESSES: Final = "other"

#: Maximum characters of a recorded name and message.
_MAX_NAME: Final = 64
_MAX_MESSAGE: Final = 300


@dataclass(slots=True)
class UnlistedSignIns:
    """Failed sign-ins without an entry of their own: how many were checked and wrong, and how many were rejected as too
    many without a check."""

    since: float
    auth_method: str
    failed: int = 0
    rejected: int = 0
    addresses: Counter[str] = field(default_factory=Counter)

    def count(self, address: str, *, rejected: bool) -> None:
        if rejected:
            self.rejected += 1
        else:
            self.failed += 1
        is_counted = address in self.addresses or len(self.addresses) < _MAX_COUNTED_ADDRESSES
        self.addresses[address if is_counted else _OTHER_ADDRESSES] += 1

    @property
    def message(self) -> str:
        return (
            f"{self.failed + self.rejected:,} more failed sign-ins without entries of their own: "
            f"{self.failed:,} failed, {self.rejected:,} rejected as too many"
        )


class LoginAudit:
    """The counts of one web server. Used by one event loop; not thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._unlisted: UnlistedSignIns | None = None

    def admit_failure(self, address: str, auth_method: str, *, rejected: bool = False) -> bool:
        """Whether a failed sign-in has an entry of its own; otherwise it is counted. `rejected`: no password was
        checked, because too many had failed."""
        network = client_network(address)
        if not rejected and self._hit((TOTAL_LIMIT, ""), (ADDRESS_LIMIT, network)):
            return True
        if self._unlisted is None:
            self._unlisted = UnlistedSignIns(self._clock(), auth_method)
        self._unlisted.count(network, rejected=rejected)
        return False

    def take_unlisted(self, *, all_of_them: bool = False) -> UnlistedSignIns | None:
        """The counts, if their interval is over or `all_of_them` are requested. The next interval starts empty."""
        unlisted = self._unlisted
        if unlisted is None or not (all_of_them or self._clock() - unlisted.since >= COUNT_INTERVAL):
            return None
        self._unlisted = None
        return unlisted

    def _hit(self, *limits: tuple[RateLimitItem, str]) -> bool:
        if not all(self._limiter.test(limit, key) for limit, key in limits):
            return False
        for limit, key in limits:
            self._limiter.hit(limit, key)
        return True


def write_success(audit: Audit, name: str, auth_method: str, address: str) -> None:
    """An error is logged and does not prevent the sign-in: the user may need access to free disk space."""
    try:
        audit.add(LOGIN_ACTION, user=name, auth_method=auth_method, address=address)
    except StoreError as error:
        log.error("Cannot write a sign-in to the audit log: %s", error)


def write_logout(audit: Audit, name: str, address: str) -> None:
    try:
        audit.add(LOGOUT_ACTION, user=name, auth_method="session", address=address)
    except StoreError as error:
        log.error("Cannot write a sign-out to the audit log: %s", error)


def write_failure(audit: Audit, name: str, auth_method: str, address: str, message: str) -> None:
    try:
        audit.add(
            LOGIN_ACTION,
            user=name[:_MAX_NAME],
            auth_method=auth_method,
            outcome="refused",
            address=address,
            message=message[:_MAX_MESSAGE],
        )
    except StoreError as error:
        log.error("Cannot write a failed sign-in to the audit log: %s", error)


def write_unlisted(audit: Audit, unlisted: UnlistedSignIns) -> None:
    addresses = unlisted.addresses
    try:
        audit.add(
            LOGIN_ACTION,
            user="",
            auth_method=unlisted.auth_method,
            outcome="refused",
            address=next(iter(addresses)) if len(addresses) == 1 else "",
            parameters={
                "since": unlisted.since,
                "failed": unlisted.failed,
                "rejected": unlisted.rejected,
                "address_count": len(addresses),
                "addresses": dict(addresses.most_common(_MAX_NAMED_ADDRESSES)),
            },
            message=unlisted.message,
        )
    except StoreError as error:
        log.error("Cannot write to the audit log: %s (%s)", unlisted.message, error)
