"""The rules as people write them (options `redact`, `redact_patterns`, `redact_args`), checked and made ready.

Patterns are RE2's, whose time grows with the length of the text and with nothing else: what a user writes there cannot
stop the recorder. It knows no look-around and no back-references.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import re2

from flower.errors import InvalidRequest

#: Masked unless `redact` says otherwise. Case does not matter, `*` is anything, `-` and `_` may be left out or swapped.
#: A name that begins with `!` is never masked: language models count tokens.
DEFAULT_NAMES: tuple[str, ...] = (
    "*password*", "*passwd*", "*passphrase*", "pwd", "*secret*", "*token*", "*authorization*", "*api_key*",
    "*access_key", "*private_key*", "*credential*", "*card_number*", "card_no", "cc_number", "*cvv*", "cvc", "card_cvc",
    "!max_tokens", "!*_max_tokens", "!num_tokens", "!total_tokens", "!prompt_tokens", "!completion_tokens",
    "!input_tokens", "!output_tokens", "!token_count", "!tokenizer",
)  # fmt: skip

#: Kinds of secrets that are known by their looks, wherever they stand (see `looks`).
BUILTIN_PATTERNS: tuple[str, ...] = ("url", "bearer", "jwt", "private-key", "card")

_MAX_PATTERN_LENGTH = 1_000
_MAX_PATTERN_MEMORY = 8 << 20
_MAX_RULES = 200
_DISABLED_WORDS = frozenset({"none", "off", "false", "0", ""})


@dataclass(frozen=True, slots=True)
class Rules:
    """Plain values, so that they travel to another process."""

    names: tuple[str, ...] = DEFAULT_NAMES
    #: kinds of `BUILT_IN`, and expressions of RE2
    patterns: tuple[str, ...] = BUILTIN_PATTERNS
    #: names of tasks (with wildcards), and which of their positional arguments are masked; None = all
    positions: tuple[tuple[str, tuple[int, ...] | None], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.names or self.patterns or self.positions)


def parse_rules(names: Iterable[str] | None, patterns: Iterable[str] | None, positions: Iterable[str]) -> Rules:
    """The rules of these options; None means the usual ones, `none` no rule of this kind. Names that are given take the
    place of the usual ones, `default` among them stands for these. Raises Invalid."""
    chosen = _extend_defaults(names, DEFAULT_NAMES)
    if len(chosen) > _MAX_RULES:
        raise InvalidRequest(f"redact: {len(chosen)} names, and {_MAX_RULES} are the most")
    for name in chosen:
        if not re.fullmatch(r"!?[\w*?. -]{1,100}", name) or not re.search(r"\w", name):
            raise InvalidRequest(
                f"redact: '{name}' is not a name", hint="letters, digits, - and _, and * or ? for any others"
            )
    looks = _extend_defaults(_rejoin_patterns(patterns), BUILTIN_PATTERNS)
    for look in looks:
        if look not in BUILTIN_PATTERNS:
            compile_re2(look)
    return Rules(chosen, looks, tuple(_parse_position(each) for each in positions))


@cache
def compile_re2(pattern: str) -> Any:
    """The expression as RE2 has it. Raises Invalid."""
    re2.set_fallback_notification(re2.FALLBACK_EXCEPTION)  # never quietly by Python's `re`, which may take for ever
    if len(pattern) > _MAX_PATTERN_LENGTH:
        raise InvalidRequest(
            f"redact_patterns: a pattern of {len(pattern)} characters; {_MAX_PATTERN_LENGTH} are the most"
        )
    try:
        made = re2.compile(pattern, max_mem=_MAX_PATTERN_MEMORY)
    except (re.error, ValueError) as error:
        raise InvalidRequest(
            f"redact_patterns: '{pattern[:80]}': {error}",
            hint=f"one of {', '.join(BUILTIN_PATTERNS)}, or an expression without look-around and back-references",
        ) from error
    if made.search("") is not None:
        raise InvalidRequest(f"redact_patterns: '{pattern[:80]}' matches the empty text")
    return made


def name_to_regex(name: str) -> str:
    """A name with wildcards as an expression for RE2 and `re`, without regard to case."""
    return "".join(_LETTER.get(letter) or re.escape(letter) for letter in name)


_LETTER = {"*": r"[\w-]*", "?": r"[\w-]", "-": "[ _-]?", "_": "[ _-]?", " ": "[ _-]?"}


def _extend_defaults(given: Iterable[str] | None, usual: tuple[str, ...]) -> tuple[str, ...]:
    if given is None:
        return usual
    words = tuple(word.strip() for word in given)
    if all(word.lower() in _DISABLED_WORDS for word in words):
        return ()
    chosen: list[str] = []
    for word in words:
        chosen.extend(usual if word.lower() == "default" else (word,))
    return tuple(chosen)


def _rejoin_patterns(patterns: Iterable[str] | None) -> Iterable[str] | None:
    """The option is cut at commas; one inside of brackets, as in `\\d{4,8}`, belongs to its pattern."""
    if patterns is None:
        return None
    whole: list[str] = []
    for part in patterns:
        if whole and any(whole[-1].count(left) > whole[-1].count(right) for left, right in ("{}", "[]", "()")):
            whole[-1] += f",{part}"
        else:
            whole.append(part)
    return whole


def _parse_position(text: str) -> tuple[str, tuple[int, ...] | None]:
    """`shop.pay:0:2` → ("shop.pay", (0, 2)); `shop.pay:*` or `shop.pay` → all of them."""
    name, *places = (part.strip() for part in text.split(":"))
    if not name or any(not (place == "*" or place.isdecimal()) for place in places):
        raise InvalidRequest(
            f"redact_args: '{text}'", hint="write task.name:0:2, counted from 0, or task.name:* for all"
        )
    if not places or "*" in places:
        return name, None
    return name, tuple(sorted({int(place) for place in places}))
