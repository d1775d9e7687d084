"""Passwords and password hashes."""

import base64
import hashlib
import subprocess
import sys

import pytest

from flower.access.passwords import Passwords, hash_password
from flower.config import load_config
from flower.errors import InvalidRequest


def scrypt(password: str) -> str:
    salt = b"sixteen bytes!!!"
    result = hashlib.scrypt(password.encode(), salt=salt, n=1 << 10, r=8, p=1, dklen=32)
    salt_text, text = (base64.b64encode(each).decode().rstrip("=") for each in (salt, result))
    return f"$scrypt$ln=10,r=8,p=1${salt_text}${text}"


def test_plain_and_hashed_passwords() -> None:
    pairs = ("ann:se:cret", f"bob:{hash_password('пароль')}", f"eve:{scrypt('горы')}", "bob:second")
    known = Passwords(load_config({"basic_auth": ",".join(pairs)}, {}).basic_auth)
    assert known.names == {"ann", "bob", "eve"}
    right = [("ann", "se:cret"), ("bob", "пароль"), ("bob", "second"), ("eve", "горы")]
    assert all(known.verify(*pair) and known.is_cached(*pair) for pair in right)
    wrong = [("ann", "secret"), ("bob", "пароль "), ("eve", ""), ("nobody", "пароль"), ("", ""), ("bob", pairs[1][4:])]
    assert not any(known.verify(*pair) or known.is_cached(*pair) for pair in wrong)


@pytest.mark.parametrize("text", ["$argon2id$nonsense", "$scrypt$ln=99,r=8,p=1$AAAA$AAAA", "$scrypt$ln=10"])
def test_invalid_hash(text: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid password hash of 'ann'"):
        Passwords((f"ann:{text}",))


def test_password_command() -> None:
    written = subprocess.run(
        [sys.executable, "-m", "flower", "password", "ann"], input="pa,ss:word\n", capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    known = Passwords(load_config({}, {"FLOWER_BASIC_AUTH": f"x:y,{written.stdout.strip()}"}).basic_auth)
    assert known.verify("ann", "pa,ss:word")
    assert known.verify("x", "y")
