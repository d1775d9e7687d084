"""The users of `basic_auth`: `user:password`, or `user:hash` with a hash of argon2 or scrypt.

    ann:$argon2id$v=19$m=65536,t=3,p=4$…$…        the output of `flower password` and most tools
    ann:$scrypt$ln=16,r=8,p=1$…$…                 ln is the base-2 logarithm of the number of rounds

Password hashes are slow by design. Verified passwords are cached in memory as keyed digests, so that scripts that send
the password with every request are delayed only once.
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
#: Maximum base-2 logarithm of the number of scrypt rounds.
_MAX_LOG_ROUNDS: Final = 24
#: Maximum memory of a scrypt hash in bytes.
_MAX_SCRYPT_MEMORY: Final = 256 << 20
#: Maximum number of verified passwords in the cache.
_MAX_CACHED: Final = 1_000


class Passwords:
    """The users and their passwords. Thread-safe."""

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
        self._entries = {name: sorted(pair for pair in pairs if pair.partition(":")[0] == name) for name in self.names}

    def __bool__(self) -> bool:
        return bool(self.names)

    @property
    def has_hashes(self) -> bool:
        """Whether `verify` computes slow hashes."""
        return bool(self._hashed)

    def digest(self, name: str, password: str) -> bytes:
        """A keyed hash that identifies name and password in this process."""
        return self._digest(f"{name}:{password}")

    def entries_digest(self, name: str) -> bytes:
        """A hash of all entries of the user, which changes when a password does. The same in every process."""
        entries = "\0".join(self._entries.get(name, ()))
        return hashlib.sha256(entries.encode("utf-8", "surrogatepass")).digest()

    def is_cached(self, name: str, password: str) -> bool:
        """Whether the password was verified before. Fast."""
        return self.digest(name, password) in self._cache

    def verify(self, name: str, password: str) -> bool:
        """Verify a password. With hashes it takes up to a tenth of a second, whether or not the user exists."""
        digest = self.digest(name, password)
        # A list: all digests are compared, so that the time does not depend on the position.
        is_correct = any([hmac.compare_digest(digest, known) for known in self._plain])  # noqa: C419
        hashes = self._hashed.get(name) or next(iter(self._hashed.values()), [])
        if not is_correct and hashes:
            matches = [verify_password(password, known) for known in hashes]
            is_correct = name in self._hashed and any(matches)
        if is_correct:
            self._add_to_cache(digest)
        return is_correct

    def _add_to_cache(self, digest: bytes) -> None:
        if len(self._cache) >= _MAX_CACHED:
            self._cache.clear()
        self._cache[digest] = None

    def _digest(self, pair: str) -> bytes:
        return hmac.digest(self._key, pair.encode("utf-8", "surrogatepass"), "sha256")


def hash_password(password: str) -> str:
    """An argon2id hash for the option `basic_auth`."""
    from argon2 import PasswordHasher  # noqa: PLC0415

    return PasswordHasher().hash(password)


def verify_password(password: str, known: str) -> bool:
    """Whether the password has the known hash."""
    if known.startswith("$scrypt$"):
        return _verify_scrypt(password, known)
    from argon2 import PasswordHasher  # noqa: PLC0415 - not needed for plain passwords
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

    try:
        return PasswordHasher().verify(known, password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False


def _verify_scrypt(password: str, known: str) -> bool:
    rounds, block_size, parallelism, salt, expected = _scrypt_parts(known)
    actual = hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt, n=rounds, r=block_size, p=parallelism, maxmem=_MAX_SCRYPT_MEMORY, dklen=len(expected),
    )  # fmt: skip
    return hmac.compare_digest(actual, expected)


def _scrypt_parts(known: str) -> tuple[int, int, int, bytes, bytes]:
    match = _SCRYPT_HASH.fullmatch(known)
    if match is None or not 0 < int(match[1]) <= _MAX_LOG_ROUNDS:
        raise ValueError(known)
    rounds, block_size, parallelism = 1 << int(match[1]), int(match[2]), int(match[3])
    return rounds, block_size, parallelism, _b64decode_unpadded(match[4]), _b64decode_unpadded(match[5])


def _b64decode_unpadded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _validate_hash(name: str, known: str) -> None:
    """Raises InvalidRequest at the start of the program, not at the first login."""
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
            f"--basic-auth: invalid password hash of '{name}'",
            hint="create one with `flower password`; it contains $, so use single quotes in a shell",
        ) from None
