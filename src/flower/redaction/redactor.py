"""The rules at work: on a text, on a value of JSON, on an event.

Almost no event has anything to mask, so one expression that knows the beginnings of all rules is held against the
bytes of a message first; it takes less than a microsecond.
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

#: JSON may write any letter so; then only the decoded text tells.
_ESCAPED_ASCII = r"\\u00[2-7]"


class Redactor:
    """Made of `Rules`, used by any thread. Without rules it gives everything back as it is."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = Rules() if rules is None else rules
        secret = [name for name in self.rules.names if not name.startswith("!")]
        harmless = [name[1:] for name in self.rules.names if name.startswith("!")]
        self._is_secret_name = _compile_full_match(secret)
        self._is_harmless_name = _compile_full_match(harmless)
        self._builtin_masks = [SECRET_PATTERNS[name].replace for name in self.rules.patterns if name in SECRET_PATTERNS]
        self._custom_patterns = [
            compile_re2(pattern) for pattern in self.rules.patterns if pattern not in SECRET_PATTERNS
        ]
        hints = [_name_prefilter(name) for name in secret]
        hints += [
            SECRET_PATTERNS[name].prefilter if name in SECRET_PATTERNS else f"(?:{name})"
            for name in self.rules.patterns
        ]
        self._prefilter = compile_prefilter(hints)
        self._prefilter_bytes = compile_prefilter([*hints, _ESCAPED_ASCII], as_bytes=True) if hints else None
        self._mask_context = MaskContext(self.is_secret, self._may_match)
        self._masked_positions = lru_cache(_MAX_CACHED_TASKS)(self._find_positions)
        self._has_position_rules = bool(self.rules.positions)
        #: what came must be read before it can be told: places are no text, an expression may mean a text's beginning,
        #: and JSON spells letters beyond ASCII otherwise
        self.requires_decoding = (
            self._has_position_rules or bool(self._custom_patterns) or not "".join(self.rules.names).isascii()
        )

    def may_contain_secret(self, body: bytes) -> bool:
        """Whether there may be something to mask in the bytes of a JSON message."""
        if self.requires_decoding:
            return True
        return self._prefilter_bytes is not None and self._prefilter_bytes.search(body) is not None

    def is_secret(self, name: str) -> bool:
        return self._is_secret_name(name) is not None and self._is_harmless_name(name) is None

    def mask_text(self, text: str) -> str:
        """The text with everything masked that the rules name. A text that was a literal of Python still is one."""
        if not self._may_match(text):
            return text
        masked = mask_named_values(text, self._mask_context) if self.rules.names else text
        looked = self._apply_patterns(masked)
        if looked != masked and not is_literal(looked) and is_literal(masked):
            # A number in brackets, say, has become three stars. Values under names stay literals by themselves.
            spelt = _BARE_MASK.sub(rf"\1'{MASK}'", looked)
            return spelt if is_literal(spelt) else f"'{MASK}'"
        return text if looked == text else looked

    def mask_value(self, value: Any, depth: int = 0) -> Any:
        """The same value of JSON's types; what is under a secret name is masked, and every text as by `text`."""
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
        """The event without its secrets; the same object if there are none."""
        changes: dict[str, Any] = {}
        for field in _TEXT_FIELDS:
            known = getattr(event, field)
            if known is not None and (masked := self.mask_text(known)) is not known:
                changes[field] = masked
        if self._has_position_rules and event.args is not None:
            masked = self.mask_positions(event.name, changes.get("args", event.args))
            if masked != event.args:
                changes["args"] = masked
        if event.data is not None:
            changes["data"] = self.mask_value(event.data)
        return replace(event, **changes) if changes else event

    def mask_positions(self, name: str | None, args: str) -> str:
        """The text of a task's positional arguments, masked by their places."""
        places = self._masked_positions(name or "")
        if places == ():
            return args
        return mask_argument_positions(args, places)

    def _find_positions(self, name: str) -> tuple[int, ...] | None:
        """The places that are masked; None = all, () = none."""
        found: set[int] = set()
        for pattern, places in self.rules.positions:
            if fnmatch.fnmatchcase(name, pattern):
                if places is None:
                    return None
                found.update(places)
        return tuple(sorted(found))

    def _mask_nonempty(self, value: Any) -> Any:
        return value if value is None or isinstance(value, bool) or value == "" else MASK

    def _may_match(self, text: str) -> bool:
        return self._prefilter is not None and self._prefilter.search(text) is not None

    def _apply_patterns(self, text: str) -> str:
        for replaced in self._builtin_masks:
            text = replaced(text)
        for pattern in self._custom_patterns:
            text = pattern.sub(MASK, text)
        return text


_BARE_MASK = re.compile(r"([\[({,:=]\s*+|^\s*+)\*\*\*(?=\s*+(?:[\])},]|$))")


def compile_prefilter(hints: list[str], *, as_bytes: bool = False) -> Any:
    """Finds what any of these may begin; None if there are none."""
    if not hints:
        return None
    re2.set_fallback_notification(re2.FALLBACK_EXCEPTION)
    expression = "(?i)" + "|".join(hints)
    return re2.compile(expression.encode() if as_bytes else expression, max_mem=64 << 20)


def _name_prefilter(name: str) -> str:
    """A name and what must follow it to be one: the end of its quotes, then a colon or an equals sign."""
    bare = name.strip("*")
    before = "" if name.startswith("*") else r"(?:^|[^\w-]|\\[nrt])"
    after = r"[\w-]*" if name.endswith("*") else ""
    return rf"{before}{name_to_regex(bare)}{after}(?:\\*['\"])?(?:\s|\\[nrt])*[:=]"


def _compile_full_match(names: list[str]) -> Any:
    """Whether a name is one of these: `re.fullmatch` of all of them, as a function."""
    expression = "|".join(name_to_regex(name) for name in names) or r"(?!)"
    return re.compile(expression, re.IGNORECASE).fullmatch
