"""Built-in patterns of secrets. Each takes time proportional to the length of the text, for every text."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

MASK = "***"


class SecretPattern(NamedTuple):
    #: RE2, case-insensitive: matches every text that may contain a match
    """A pattern and the function that masks its matches."""

    prefilter: str
    replace: Callable[[str], str]


def _mask_url_password(text: str) -> str:
    return _URL.sub(rf"\1:{MASK}@", text)


def _mask_bearer(text: str) -> str:
    return _BEARER.sub(rf"\1 {MASK}", text)


def _mask_jwt(text: str) -> str:
    return _JWT.sub(MASK, text)


def _mask_private_key(text: str) -> str:
    return _PRIVATE_KEY.sub(MASK, text)


def _mask_card(text: str) -> str:
    return _CARD.sub(lambda match: MASK if _passes_luhn(match[0]) else match[0], text)


_URL = re.compile(r"(://[^\s/:@'\"]*):[^\s'\"/]+@")
#: At least one digit: words about authentication are not secrets.
_BEARER = re.compile(r"\b(bearer|basic)\s+(?=[\w.~+/-]*\d)[\w.~+/-]{8,}=*", re.IGNORECASE | re.ASCII)
_JWT = re.compile(r"\beyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?", re.ASCII)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.S
)
#: First digits and lengths of the numbers of common cards. Database ids and times in microseconds begin with other
#: digits; a part of a longer number, an id or a fraction is not a card number.
_CARD = re.compile(
    r"(?<![\w.-])(?:4\d{3}|5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720|6011|65\d\d)"
    r"(?:[ -]?\d{4}){3}(?![\w-]|\.\d)"
    r"|(?<![\w.-])3[47]\d\d[ -]?\d{6}[ -]?\d{5}(?![\w-]|\.\d)",
    re.ASCII,
)


def _passes_luhn(text: str) -> bool:
    digits = [int(letter) for letter in reversed(text) if letter.isdecimal()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


SECRET_PATTERNS: Mapping[str, SecretPattern] = {
    "url": SecretPattern(r"://[^\s/:@'\"\\]*:[^\s'\"/]+@", _mask_url_password),
    "bearer": SecretPattern(r"(?:bearer|basic)(?:\s|\\[nrt])", _mask_bearer),
    "jwt": SecretPattern(r"eyJ[\w-]{8}", _mask_jwt),
    "private-key": SecretPattern(r"PRIVATE KEY-----", _mask_private_key),
    "card": SecretPattern(r"(?:^|[^\w.-]|\\[nrt])[2-6]\d{3}[ -]?\d{4}[ -]?\d{2}[ -]?\d{2}[ -]?\d{3}", _mask_card),
}
