"""Checks the password of a sign-in or a Basic header: cached, throttled, and hashed in a bounded queue."""

import asyncio
from dataclasses import dataclass, field

from flower.access.hash_queue import RETRY_AFTER, HashQueue, HashQueueFull
from flower.access.login_throttle import AttemptOutcome, LoginThrottle
from flower.access.passwords import Passwords


@dataclass(frozen=True, slots=True)
class PasswordResult:
    """`retry_after`: seconds until the next attempt, if the password was not checked."""

    is_correct: bool
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class PasswordVerifier:
    """Used by one event loop. A password that was verified before is accepted without a hash, whatever other clients
    do."""

    passwords: Passwords
    throttle: LoginThrottle = field(default_factory=LoginThrottle)
    _queue: HashQueue = field(default_factory=HashQueue)
    #: verifications in progress: a client that opens many connections with the same password at once is one attempt
    _in_progress: dict[tuple[bytes, str], asyncio.Task[PasswordResult]] = field(default_factory=dict)

    async def verify(self, name: str, password: str, address: str) -> PasswordResult:
        key = (self.passwords.digest(name, password), address)
        task = self._in_progress.get(key)
        if task is None:
            if retry_after := self.throttle.retry_after(name, address):
                return PasswordResult(is_correct=False, retry_after=retry_after)
            if self.passwords.is_cached(name, password):
                self.throttle.record_success(name, address)
                return PasswordResult(is_correct=True)
            # counted here, and not when the task starts: the next request may be read before that
            self.throttle.start_attempt(name, address)
            task = asyncio.create_task(self._attempt(name, password, address))
            self._in_progress[key] = task
            task.add_done_callback(lambda _: self._in_progress.pop(key))
        # a client that disconnects does not cancel the attempts of others
        return await asyncio.shield(task)

    async def _attempt(self, name: str, password: str, address: str) -> PasswordResult:
        outcome: AttemptOutcome = "abandoned"
        try:
            is_correct = await self._compare(name, password, address)
            outcome = "success" if is_correct else "failure"
            return PasswordResult(is_correct)
        except HashQueueFull:
            return PasswordResult(is_correct=False, retry_after=RETRY_AFTER)
        finally:
            self.throttle.end_attempt(name, address, outcome)

    async def _compare(self, name: str, password: str, address: str) -> bool:
        if not self.passwords.has_hashes:  # plain passwords are compared in microseconds
            return self.passwords.verify(name, password)
        return await self._queue.run(lambda: self.passwords.verify(name, password), address)
