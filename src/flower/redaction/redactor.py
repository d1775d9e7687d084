"""Applies the redaction rules to text, to JSON values and to events.

Almost no event contains a secret. Therefore a prefilter, one expression for the beginnings of all rules, is first
matched against the bytes of a message; this takes less than a microsecond.
"""

import fnmatch
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import re2
from msgspec.structs import replace

from flower.records import Event
from flower.redaction.patterns import MASK, SECRET_PATTERNS
from flower.redaction.repr_masking import MaskContext, is_literal, mask_argument_positions, mask_named_values
from flower.redaction.rules import Rules, compile_re2, name_to_regex

_TEXT_FIELDS = ("args", "kwargs", "result", "exception", "traceback")
_MAX_DEPTH = 20
_MAX_CACHED_TASKS = 4_096

#: JSON may escape any ASCII character; then only the decoded text can be checked.
_ESCAPED_ASCII = r"\\u00[2-7]"


class Redactor:
    """Thread-safe. Without rules all values are returned unchanged."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = Rules() if rules is None else rules
        secret_names = [name for name in self.rules.names if not name.startswith("!")]
        harmless_names = [name[1:] for name in self.rules.names if name.startswith("!")]
        self._is_secret_name = _compile_full_match(secret_names)
        self._is_harmless_name = _compile_full_match(harmless_names)
        self._builtin_masks = [SECRET_PATTERNS[name].replace for name in self.rules.patterns if name in SECRET_PATTERNS]
        self._custom_patterns = [
            compile_re2(pattern) for pattern in self.rules.patterns if pattern not in SECRET_PATTERNS
        ]
        expressions = [_name_prefilter(name) for name in secret_names]
        expressions += [
            SECRET_PATTERNS[name].prefilter if name in SECRET_PATTERNS else f"(?:{name})"
            for name in self.rules.patterns
        ]
        self._prefilter = compile_prefilter(expressions)
        self._prefilter_bytes = (
            compile_prefilter([*expressions, _ESCAPED_ASCII], as_bytes=True) if expressions else None
        )
        self._mask_context = MaskContext(self.is_secret, self._may_match)
        self._masked_positions = lru_cache(_MAX_CACHED_TASKS)(self._find_positions)
        self._has_position_rules = bool(self.rules.positions)
        #: The bytes of a message are not sufficient: positions require the parsed arguments, a custom expression may be
        #: anchored, and JSON may escape characters beyond ASCII.
        self.requires_decoding = (
            self._has_position_rules or bool(self._custom_patterns) or not "".join(self.rules.names).isascii()
        )

    def may_contain_secret(self, body: bytes) -> bool:
        """Whether the bytes of a JSON message may contain a secret."""
        if self.requires_decoding:
            return True
        return self._prefilter_bytes is not None and self._prefilter_bytes.search(body) is not None

    def is_secret(self, name: str) -> bool:
        """Whether the values of this name are masked."""
        return self._is_secret_name(name) is not None and self._is_harmless_name(name) is None

    def mask_text(self, text: str) -> str:
        """The text with all secrets masked; the same object if there are none. A Python literal remains a literal."""
        if not self._may_match(text):
            return text
        masked = mask_named_values(text, self._mask_context) if self.rules.names else text
        redacted = self._apply_patterns(masked)
        if redacted != masked and not is_literal(redacted) and is_literal(masked):
            # For example, a number inside brackets has become `***`. Values under names remain literals.
            quoted = _BARE_MASK.sub(rf"\1'{MASK}'", redacted)
            return quoted if is_literal(quoted) else f"'{MASK}'"
        return text if redacted == text else redacted

    def mask_value(self, value: Any, depth: int = 0) -> Any:
        """The JSON value with the values of secret names and the secrets in all texts masked."""
        if isinstance(value, str):
            return self.mask_text(value)
        if depth > _MAX_DEPTH:
            return MASK
        if isinstance(value, Mapping):
            return {
                self.mask_text(str(key)): self._mask_nonempty(item)
                if self.is_secret(str(key))
                else self.mask_value(item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.mask_value(item, depth + 1) for item in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return MASK if self.mask_text(str(value)) != str(value) else value
        return value

    def mask_event(self, event: Event) -> Event:
        """The event with its secrets masked; the same object if there are none."""
        changes: dict[str, Any] = {}
        for field in _TEXT_FIELDS:
            text = getattr(event, field)
            if text is not None and (masked := self.mask_text(text)) is not text:
                changes[field] = masked
        if self._has_position_rules and event.args is not None:
            masked = self.mask_positions(event.name, changes.get("args", event.args))
            if masked != event.args:
                changes["args"] = masked
        if event.data is not None:
            changes["data"] = self.mask_value(event.data)
        return replace(event, **changes) if changes else event

    def mask_positions(self, name: str | None, args: str) -> str:
        """The text of the positional arguments of a task, masked by the rules of `redact_args`."""
        positions = self._masked_positions(name or "")
        if positions == ():
            return args
        return mask_argument_positions(args, positions)

    def _find_positions(self, name: str) -> tuple[int, ...] | None:
        """Positions that are masked in the arguments of this task; None = all, () = none."""
        matching: set[int] = set()
        for pattern, positions in self.rules.positions:
            if fnmatch.fnmatchcase(name, pattern):
                if positions is None:
                    return None
                matching.update(positions)
        return tuple(sorted(matching))

    def _mask_nonempty(self, value: Any) -> Any:
        return value if value is None or isinstance(value, bool) or value == "" else MASK

    def _may_match(self, text: str) -> bool:
        return self._prefilter is not None and self._prefilter.search(text) is not None

    def _apply_patterns(self, text: str) -> str:
        for mask in self._builtin_masks:
            text = mask(text)
        for pattern in self._custom_patterns:
            text = pattern.sub(MASK, text)
        return text


_BARE_MASK = re.compile(r"([\[({,:=]\s*+|^\s*+)\*\*\*(?=\s*+(?:[\])},]|$))")


def compile_prefilter(expressions: list[str], *, as_bytes: bool = False) -> Any:
    """A pattern that matches if any of these expressions may match; None if there are none."""
    if not expressions:
        return None
    re2.set_fallback_notification(re2.FALLBACK_EXCEPTION)
    expression = "(?i)" + "|".join(expressions)
    return re2.compile(expression.encode() if as_bytes else expression, max_mem=64 << 20)


def _name_prefilter(name: str) -> str:
    """An expression for the name and the text that must follow it: an optional closing quote, then a colon or an equals
    sign."""
    bare = name.strip("*")
    before = "" if name.startswith("*") else r"(?:^|[^\w-]|\\[nrt])"
    after = r"[\w-]*" if name.endswith("*") else ""
    return rf"{before}{name_to_regex(bare)}{after}(?:\\*['\"])?(?:\s|\\[nrt])*[:=]"


def _compile_full_match(names: list[str]) -> Any:
    """`re.fullmatch` of all names as a function."""
    expression = "|".join(name_to_regex(name) for name in names) or r"(?!)"
    return re.compile(expression, re.IGNORECASE).fullmatch
