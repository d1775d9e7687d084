"""The users of `basic_auth`: `user:password`, or `user:hash` with a hash of argon2 or scrypt.

    ann:$argon2id$v=19$m=65536,t=3,p=4$…$…        as `flower password` and most tools write it
    ann:$scrypt$ln=16,r=8,p=1$…$…                 ln is the logarithm of the number of rounds

Hashing a password is meant to take long. What was right is remembered (as a keyed digest, in memory) so that a script
that shows its password with every request does not pay each time.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import Final

from flower.errors import InvalidRequest

_SCRYPT_HASH: Final = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)")
#: The logarithm of the most rounds of scrypt.
_MAX_LOG_ROUNDS: Final = 24
#: Bytes that a scrypt hash may need.
_MAX_SCRYPT_MEMORY: Final = 256 << 20
#: Passwords that are remembered as right.
_MAX_CACHED: Final = 1_000


class Passwords:
    """Any thread may ask."""

    def __init__(self, pairs: Sequence[str]) -> None:
        self._key = secrets.token_bytes(32)
        self._cache: dict[bytes, None] = {}
        self._plain: list[bytes] = []
        self._hashed: dict[str, list[str]] = {}
        for pair in pairs:
            name, _, password = pair.partition(":")
            if password.startswith(("$argon2", "$scrypt$")):
                _validate_hash(name, password)
                self._hashed.setdefault(name, []).append(password)
            else:
                self._plain.append(self._digest(pair))
        self.names = frozenset(pair.partition(":")[0] for pair in pairs)

    def __bool__(self) -> bool:
        return bool(self.names)

    def is_cached(self, name: str, password: str) -> bool:
        """Whether this was right before: quick."""
        return self._digest(f"{name}:{password}") in self._cache

    def verify(self, name: str, password: str) -> bool:
        """May take a tenth of a second. How long it takes does not tell whether there is such a user."""
        digest = self._digest(f"{name}:{password}")
        right = any([hmac.compare_digest(digest, each) for each in self._plain])  # noqa: C419 - all are compared
        hashes = self._hashed.get(name) or [each for some in list(self._hashed.values())[:1] for each in some]
        if not right and hashes:
            matches = [verify_password(password, each) for each in hashes]
            right = name in self._hashed and any(matches)
        if right:
            self._add_to_cache(digest)
        return right

    def _add_to_cache(self, digest: bytes) -> None:
        if len(self._cache) >= _MAX_CACHED:
            self._cache.clear()
        self._cache[digest] = None

    def _digest(self, pair: str) -> bytes:
        return hmac.digest(self._key, pair.encode("utf-8", "surrogatepass"), "sha256")


def hash_password(password: str) -> str:
    """A hash of argon2id that `basic_auth` takes."""
    from argon2 import PasswordHasher  # noqa: PLC0415

    return PasswordHasher().hash(password)


def verify_password(password: str, known: str) -> bool:
    if known.startswith("$scrypt$"):
        return _verify_scrypt(password, known)
    from argon2 import PasswordHasher  # noqa: PLC0415 - plain passwords need it not
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

    try:
        return PasswordHasher().verify(known, password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False


def _verify_scrypt(password: str, known: str) -> bool:
    rounds, block, parallel, salt, wanted = _scrypt_parts(known)
    found = hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt, n=rounds, r=block, p=parallel, maxmem=_MAX_SCRYPT_MEMORY, dklen=len(wanted),
    )  # fmt: skip
    return hmac.compare_digest(found, wanted)


def _scrypt_parts(known: str) -> tuple[int, int, int, bytes, bytes]:
    match = _SCRYPT_HASH.fullmatch(known)
    if match is None or not 0 < int(match[1]) <= _MAX_LOG_ROUNDS:
        raise ValueError(known)
    rounds, block, parallel = 1 << int(match[1]), int(match[2]), int(match[3])
    return rounds, block, parallel, _b64decode_unpadded(match[4]), _b64decode_unpadded(match[5])


def _b64decode_unpadded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _validate_hash(name: str, known: str) -> None:
    """Raises Invalid at the start, not when somebody logs in."""
    try:
        if known.startswith("$scrypt$"):
            _verify_scrypt("", known)
        else:
            from argon2 import extract_parameters  # noqa: PLC0415
            from argon2.exceptions import InvalidHashError  # noqa: PLC0415

            try:
                extract_parameters(known)
            except InvalidHashError as error:
                raise ValueError(known) from error
    except (ValueError, binascii.Error, OverflowError, MemoryError):
        raise InvalidRequest(
            f"--basic-auth: the password hash of '{name}' cannot be read",
            hint="`flower password` writes one; in a shell it needs single quotes, for it has $ in it",
        ) from None
