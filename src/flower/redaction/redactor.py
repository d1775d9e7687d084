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
from flower.redaction.looks import LOOKS, MASK
from flower.redaction.rules import Rules, compiled, name_expression
from flower.redaction.texts import Reading, is_literal, masked_places, masked_values

_TEXTS = ("args", "kwargs", "result", "exception", "traceback")
_DEEPEST = 20
_REMEMBERED_TASKS = 4_096

#: JSON may write any letter so; then only the decoded text tells.
_ESCAPED_ASCII = r"\\u00[2-7]"


class Redactor:
    """Made of `Rules`, used by any thread. Without rules it gives everything back as it is."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = Rules() if rules is None else rules
        secret = [name for name in self.rules.names if not name.startswith("!")]
        harmless = [name[1:] for name in self.rules.names if name.startswith("!")]
        self._is_secret_name = _whole(secret)
        self._is_harmless_name = _whole(harmless)
        self._looks = [LOOKS[name].replace for name in self.rules.patterns if name in LOOKS]
        self._own = [compiled(pattern) for pattern in self.rules.patterns if pattern not in LOOKS]
        hints = [_hint(name) for name in secret]
        hints += [LOOKS[name].hint if name in LOOKS else f"(?:{name})" for name in self.rules.patterns]
        self._hint = compiled_hint(hints)
        self._hint_bytes = compiled_hint([*hints, _ESCAPED_ASCII], as_bytes=True) if hints else None
        self._reading = Reading(self.is_secret, self._may_hold)
        self._places = lru_cache(_REMEMBERED_TASKS)(self._places_of)
        self._by_place = bool(self.rules.positions)
        #: what came must be read before it can be told: places are no text, an expression may mean a text's beginning,
        #: and JSON spells letters beyond ASCII otherwise
        self.reads_all = self._by_place or bool(self._own) or not "".join(self.rules.names).isascii()

    def suspects(self, body: bytes) -> bool:
        """Whether there may be something to mask in the bytes of a JSON message."""
        if self.reads_all:
            return True
        return self._hint_bytes is not None and self._hint_bytes.search(body) is not None

    def is_secret(self, name: str) -> bool:
        return self._is_secret_name(name) is not None and self._is_harmless_name(name) is None

    def text(self, text: str) -> str:
        """The text with everything masked that the rules name. A text that was a literal of Python still is one."""
        if not self._may_hold(text):
            return text
        masked = masked_values(text, self._reading) if self.rules.names else text
        looked = self._by_looks(masked)
        if looked != masked and not is_literal(looked) and is_literal(masked):
            # A number in brackets, say, has become three stars. Values under names stay literals by themselves.
            spelt = _BARE_MASK.sub(rf"\1'{MASK}'", looked)
            return spelt if is_literal(spelt) else f"'{MASK}'"
        return text if looked == text else looked

    def value(self, value: Any, depth: int = 0) -> Any:
        """The same value of JSON's types; what is under a secret name is masked, and every text as by `text`."""
        if isinstance(value, str):
            return self.text(value)
        if depth > _DEEPEST:
            return MASK
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): self._kept(item) if self.is_secret(str(key)) else self.value(item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(item, depth + 1) for item in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return MASK if self.text(str(value)) != str(value) else value
        return value

    def event(self, event: Event) -> Event:
        """The event without its secrets; the same object if there are none."""
        changes: dict[str, Any] = {}
        for field in _TEXTS:
            known = getattr(event, field)
            if known is not None and (masked := self.text(known)) is not known:
                changes[field] = masked
        if self._by_place and event.args is not None:
            masked = self.placed(event.name, changes.get("args", event.args))
            if masked != event.args:
                changes["args"] = masked
        if event.data is not None:
            changes["data"] = self.value(event.data)
        return replace(event, **changes) if changes else event

    def placed(self, name: str | None, args: str) -> str:
        """The text of a task's positional arguments, masked by their places."""
        places = self._places(name or "")
        if places == ():
            return args
        return masked_places(args, places)

    def _places_of(self, name: str) -> tuple[int, ...] | None:
        """The places that are masked; None = all, () = none."""
        found: set[int] = set()
        for pattern, places in self.rules.positions:
            if fnmatch.fnmatchcase(name, pattern):
                if places is None:
                    return None
                found.update(places)
        return tuple(sorted(found))

    def _kept(self, value: Any) -> Any:
        return value if value is None or isinstance(value, bool) or value == "" else MASK

    def _may_hold(self, text: str) -> bool:
        return self._hint is not None and self._hint.search(text) is not None

    def _by_looks(self, text: str) -> str:
        for replaced in self._looks:
            text = replaced(text)
        for pattern in self._own:
            text = pattern.sub(MASK, text)
        return text


_BARE_MASK = re.compile(r"([\[({,:=]\s*+|^\s*+)\*\*\*(?=\s*+(?:[\])},]|$))")


def compiled_hint(hints: list[str], *, as_bytes: bool = False) -> Any:
    """Finds what any of these may begin; None if there are none."""
    if not hints:
        return None
    re2.set_fallback_notification(re2.FALLBACK_EXCEPTION)
    expression = "(?i)" + "|".join(hints)
    return re2.compile(expression.encode() if as_bytes else expression, max_mem=64 << 20)


def _hint(name: str) -> str:
    """A name and what must follow it to be one: the end of its quotes, then a colon or an equals sign."""
    bare = name.strip("*")
    before = "" if name.startswith("*") else r"(?:^|[^\w-]|\\[nrt])"
    after = r"[\w-]*" if name.endswith("*") else ""
    return rf"{before}{name_expression(bare)}{after}(?:\\*['\"])?(?:\s|\\[nrt])*[:=]"


def _whole(names: list[str]) -> Any:
    """Whether a name is one of these: `re.fullmatch` of all of them, as a function."""
    expression = "|".join(name_expression(name) for name in names) or r"(?!)"
    return re.compile(expression, re.IGNORECASE).fullmatch
