"""Parser of the redaction rules (options `redact`, `redact_patterns`, `redact_args`).

Patterns are RE2 expressions, whose matching time is linear in the length of the text, so a user's pattern cannot stop
the recorder. RE2 has no look-around and no back-references.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import re2

from flower.errors import InvalidRequest
from flower.redaction.names import DEFAULT_NAMES
from flower.redaction.patterns import SECRET_PATTERNS

#: Built-in patterns, which apply to all text (see `patterns`).
BUILTIN_PATTERNS: tuple[str, ...] = tuple(SECRET_PATTERNS)

_MAX_PATTERN_LENGTH = 1_000
_MAX_PATTERN_MEMORY = 8 << 20
_MAX_RULES = 200
_DISABLED_WORDS = frozenset({"none", "off", "false", "0", ""})


@dataclass(frozen=True, slots=True)
class Rules:
    """Redaction rules as plain values, so that they can be sent to another process."""

    names: tuple[str, ...] = DEFAULT_NAMES
    #: names of `BUILTIN_PATTERNS`, and RE2 expressions
    patterns: tuple[str, ...] = BUILTIN_PATTERNS
    #: task names (with wildcards) and the positional arguments that are masked; None = all
    positions: tuple[tuple[str, tuple[int, ...] | None], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.names or self.patterns or self.positions)


def parse_rules(names: Iterable[str] | None, patterns: Iterable[str] | None, positions: Iterable[str]) -> Rules:
    """The rules of these options. None means the default rules, `none` no rule of this kind. Given names replace the
    default ones; `default` among them includes these. Raises InvalidRequest."""
    chosen_names = _extend_defaults(names, DEFAULT_NAMES)
    if len(chosen_names) > _MAX_RULES:
        raise InvalidRequest(f"--redact: too many names ({len(chosen_names)}; maximum {_MAX_RULES})")
    for name in chosen_names:
        if not re.fullmatch(r"!?[\w*?. -]{1,100}", name) or not re.search(r"\w", name):
            raise InvalidRequest(
                f"--redact: invalid name '{name}'", hint="use letters, digits, - and _; * and ? are wildcards"
            )
    chosen_patterns = _extend_defaults(_rejoin_patterns(patterns), BUILTIN_PATTERNS)
    for pattern in chosen_patterns:
        if pattern not in BUILTIN_PATTERNS:
            compile_re2(pattern)
    return Rules(chosen_names, chosen_patterns, tuple(_parse_position(each) for each in positions))


@cache
def compile_re2(pattern: str) -> Any:
    """Raises InvalidRequest if the pattern is not a valid RE2 expression."""
    re2.set_fallback_notification(re2.FALLBACK_EXCEPTION)  # no fallback to Python's `re`, whose time is unbounded
    if len(pattern) > _MAX_PATTERN_LENGTH:
        raise InvalidRequest(
            f"--redact-patterns: pattern too long ({len(pattern)} characters; maximum {_MAX_PATTERN_LENGTH})"
        )
    try:
        compiled = re2.compile(pattern, max_mem=_MAX_PATTERN_MEMORY)
    except (re.error, ValueError) as error:
        raise InvalidRequest(
            f"--redact-patterns: invalid pattern '{pattern[:80]}': {error}",
            hint=f"use one of {', '.join(BUILTIN_PATTERNS)}, or an RE2 expression (no look-around, no back-references)",
        ) from error
    if compiled.search("") is not None:
        raise InvalidRequest(f"--redact-patterns: invalid pattern '{pattern[:80]}': it matches the empty string")
    return compiled


def _extend_defaults(given: Iterable[str] | None, defaults: tuple[str, ...]) -> tuple[str, ...]:
    if given is None:
        return defaults
    words = tuple(word.strip() for word in given)
    if all(word.lower() in _DISABLED_WORDS for word in words):
        return ()
    chosen: list[str] = []
    for word in words:
        chosen.extend(defaults if word.lower() == "default" else (word,))
    return tuple(chosen)


def _rejoin_patterns(patterns: Iterable[str] | None) -> Iterable[str] | None:
    """The option is split at commas; rejoin those inside brackets, as in `\\d{4,8}`."""
    if patterns is None:
        return None
    rejoined: list[str] = []
    for part in patterns:
        if rejoined and any(rejoined[-1].count(left) > rejoined[-1].count(right) for left, right in ("{}", "[]", "()")):
            rejoined[-1] += f",{part}"
        else:
            rejoined.append(part)
    return rejoined


def _parse_position(text: str) -> tuple[str, tuple[int, ...] | None]:
    """`shop.pay:0:2` → ("shop.pay", (0, 2)); `shop.pay:*` or `shop.pay` → all positions."""
    name, *positions = (part.strip() for part in text.split(":"))
    if not name or any(not (position == "*" or position.isdecimal()) for position in positions):
        raise InvalidRequest(
            f"--redact-args: invalid rule '{text}'",
            hint="use task.name:0:2 (positions from 0) or task.name:* (all positions)",
        )
    if not positions or "*" in positions:
        return name, None
    return name, tuple(sorted({int(position) for position in positions}))
