"""Secret names: the default rules, and the decision whether the values of a name are masked.

Case is ignored. `*` matches any characters of a name, including dots and blanks, `-`, `_` and a blank are optional and
interchangeable. A name matches also if its last part does (`db.pwd`). A rule that begins with `!` names values that are
never masked.
"""

import re
from collections.abc import Callable, Iterable
from enum import IntEnum
from functools import lru_cache

#: Names whose values are masked, numbers included: a PIN is a number.
NUMERIC_SECRETS: tuple[str, ...] = (
    "*password*", "*passwd*", "*passphrase*", "*passcode*", "*passwort*", "*kennwort*", "*mot_de_passe*", "contrase*",
    "senha", "pwd", "db_pwd", "user_pwd", "mysql_pwd", "pw", "db_pass", "user_pass", "smtp_pass", "pin", "pin_code",
    "otp", "otp_code", "one_time_code", "mfa_code", "secret", "*secret_key*", "*client_secret*", "*api_key*",
    "*access_key", "*account_key", "*private_key*", "*encryption_key", "*signing_key", "*subscription_key",
    "*card_number*", "card_no", "cc_number", "*cvv*", "cvc", "card_cvc",
)  # fmt: skip

#: Names whose values are masked unless they are numbers, booleans or lists of numbers: `max_new_tokens=256` is a limit,
#: `secret_version=3` and `credential_id=7` are identifiers.
TEXT_SECRETS: tuple[str, ...] = (
    "*token*", "*secret*", "*credential*", "*authorization*", "pass", "cookie", "cookies", "set_cookie", "session_key",
    "*session_id", "*sessid", "connect.sid",
)  # fmt: skip

#: Names that contain the word of a secret but hold something else: the markers of language models, the positions of
#: paged lists, and properties of a secret.
HARMLESS_NAMES: tuple[str, ...] = (
    "!secretar*", "!*tokenize*", "!*tokenization*", "!pad_token", "!bos_token", "!eos_token", "!unk_token",
    "!sep_token", "!cls_token", "!mask_token", "!*special_token*", "!stop_token*", "!*page_token",
    "!*continuation_token", "!next_token", "!sync_token", "!resume_token", "!max_tokens", "!*_max_tokens",
    "!num_tokens", "!total_tokens", "!prompt_tokens", "!completion_tokens", "!input_tokens", "!output_tokens",
    "!token_count", "!*token_type*", "!*token_url", "!*token_uri", "!*token_endpoint", "!*token_name", "!*token_usage",
    "!*token_expir*", "!*token_file", "!*credential_type", "!*credentials_file", "!*secret_name", "!*secret_version*",
    "!*secret_file", "!*password_file", "!*password_policy*", "!*password_change*", "!*password_expir*",
    "!*private_key_file", "!*private_key_path",
)  # fmt: skip

DEFAULT_NAMES: tuple[str, ...] = (*NUMERIC_SECRETS, *TEXT_SECRETS, *HARMLESS_NAMES)

MAX_NAME_LENGTH = 100

_TEXT_SECRETS = frozenset(TEXT_SECRETS)
_MAX_CACHED_NAMES = 4_096
_LETTERS = {"*": r"[^'\"=:%*,;{}()<>\\\n]*", "?": r"[\w-]", "-": "[ _.-]?", "_": "[ _.-]?", " ": "[ _.-]?"}
_LAST_PART = re.compile(r"[^. /:\[\]$]+(?=[\]:]*$)")


class Secrecy(IntEnum):
    """What is masked under a name."""

    NONE = 0
    #: all values but numbers and booleans
    TEXT = 1
    ALL = 2


class NameRules:
    """Decides about names. Thread-safe."""

    def __init__(self, names: Iterable[str]) -> None:
        names = tuple(names)
        secret_names = [name for name in names if not name.startswith("!")]
        self._harmless = _compile([name[1:] for name in names if name.startswith("!")])
        self._numeric = _compile([name for name in secret_names if name not in _TEXT_SECRETS])
        self._text = _compile([name for name in secret_names if name in _TEXT_SECRETS])
        self._each = [(name, _compile([name])) for name in secret_names]
        self.secret_names = secret_names
        self.classify = lru_cache(_MAX_CACHED_NAMES)(self._classify)

    def find_rule(self, name: str) -> str | None:
        """The rule that masks the values of this name; None if they are not masked."""
        if self.classify(name) is Secrecy.NONE:
            return None
        return next((rule for rule, matches in self._each for part in _parts(name) if matches(part)), None)

    def _classify(self, name: str) -> Secrecy:
        if len(name) > MAX_NAME_LENGTH:
            return Secrecy.NONE
        parts = _parts(name)
        is_numeric = any(self._numeric(part) for part in parts)
        if not is_numeric and not any(self._text(part) for part in parts):
            return Secrecy.NONE
        if any(self._harmless(part) for part in parts):
            return Secrecy.NONE
        return Secrecy.ALL if is_numeric else Secrecy.TEXT


def name_to_regex(name: str) -> str:
    """A name with wildcards as a case-insensitive expression for RE2 and `re`."""
    return "".join(_LETTERS.get(letter) or re.escape(letter) for letter in name)


def _parts(name: str) -> tuple[str, ...]:
    """The name, and its last part if it has several."""
    name = name.strip(" -:")
    last = _LAST_PART.search(name)
    return (name,) if last is None or last[0] == name else (name, last[0])


def _compile(names: list[str]) -> Callable[[str], re.Match[str] | None]:
    """`fullmatch` of all these names."""
    expression = "|".join(name_to_regex(name) for name in names) or r"(?!)"
    return re.compile(expression, re.IGNORECASE).fullmatch
