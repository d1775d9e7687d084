"""Applies the redaction rules to text, to JSON values and to events.

Almost no event contains a secret. Therefore the prefilter (see `prefilter`) is first matched against all texts of many
events together.
"""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from flower.records import Attempt, Event, Task
from flower.redaction.names import NameRules, Secrecy
from flower.redaction.patterns import MASK, SECRET_PATTERNS, named_mask
from flower.redaction.prefilter import Prefilter, PrefilterStages, build_name_stages
from flower.redaction.repr_masking import (
    MaskContext,
    is_literal,
    mask_argument_positions,
    mask_named_values,
    parse_literal,
)
from flower.redaction.rules import Rules, compile_re2

TEXT_FIELDS = ("args", "kwargs", "result", "exception", "traceback")
_ATTEMPT_TEXT_FIELDS = ("exception", "traceback")
_MAX_DEPTH = 20
_MAX_CACHED_TASKS = 4_096

_BARE_MASK = re.compile(r"([\[({,:=]\s*+|^\s*+)(\*\*\*(?:[\w-]+\*\*\*)?)(?=\s*+(?:[\])},]|$))")


class Redactor:
    """Thread-safe. Without rules all values are returned unchanged."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = Rules() if rules is None else rules
        self.names = NameRules(self.rules.names)
        self._builtin_masks = [SECRET_PATTERNS[name].replace for name in self.rules.patterns if name in SECRET_PATTERNS]
        self._custom_patterns = [
            compile_re2(pattern) for pattern in self.rules.patterns if pattern not in SECRET_PATTERNS
        ]
        stages = build_name_stages(self.names.secret_names)
        stages += [
            SECRET_PATTERNS[name].prefilter if name in SECRET_PATTERNS else PrefilterStages(f"(?:{name})")
            for name in self.rules.patterns
        ]
        self._may_match = Prefilter(stages).matches
        self._mask_context = MaskContext(self.names.classify, self._may_match)
        self._masked_positions = lru_cache(_MAX_CACHED_TASKS)(self._find_positions)
        self._has_position_rules = bool(self.rules.positions)
        #: Texts that are joined are not sufficient: positions require the name of the task, and a custom expression may
        #: be anchored.
        self._requires_single_events = self._has_position_rules or bool(self._custom_patterns)

    def is_secret(self, name: str, value: Any) -> bool:
        """Whether the whole value is masked because of its name. Numbers are secrets under the names of passwords, not
        under those of tokens."""
        secrecy = self.names.classify(name)
        if secrecy is Secrecy.NONE or value is None or isinstance(value, bool) or value == "":
            return False
        return secrecy is Secrecy.ALL or not _is_numeric(value)

    def mask_text(self, text: str) -> str:
        """The text with all secrets masked; the same object if there are none. A Python literal remains a literal."""
        if not self._may_match(text):
            return text
        masked = mask_named_values(text, self._mask_context) if self.rules.names else text
        redacted = self._apply_patterns(masked)
        if redacted != masked and not is_literal(redacted) and is_literal(masked):
            # For example, a number inside brackets has become `***`. Values under names remain literals.
            quoted = _BARE_MASK.sub(r"\1'\2'", redacted)
            return quoted if is_literal(quoted) else f"'{MASK}'"
        return text if redacted == text else redacted

    def mask_value(self, value: Any, depth: int = 0) -> Any:
        """The JSON value with the values of secret names and the secrets in all texts masked."""
        if isinstance(value, str):
            return self.mask_text(value)
        if depth == 0 and isinstance(value, Mapping | list | tuple):
            # As text, so that the same rules apply to a value and to its repr.
            text = repr(value)
            if not self._may_match(text):
                return list(value) if isinstance(value, tuple) else value
            try:
                masked = parse_literal(self.mask_text(text))
            except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
                pass
            else:
                # A text in which a mask destroyed the literal is masked as a whole; a container remains one.
                if isinstance(masked, Mapping) == isinstance(value, Mapping) and not isinstance(masked, str):
                    return list(masked) if isinstance(masked, tuple) else masked
        return self._mask_items(value, depth)

    def mask_event(self, event: Event) -> Event:
        """The event with its secrets masked; the same object if there are none."""
        changes = self._mask_fields(event)
        return replace(event, **changes) if changes else event

    def mask_events(self, events: list[Event]) -> list[Event]:
        """Events without `data`, with their secrets masked; the same list if there are none."""
        if not self.rules:
            return events
        if not self._requires_single_events:
            texts = [
                text
                for each in events
                for text in (each.args, each.kwargs, each.result, each.exception, each.traceback)
                if text
            ]
            # A line end separates words: what the prefilter finds in one text, it finds in all of them.
            if not texts or not self._may_match("\n".join(texts)):
                return events
        return [self.mask_event(each) for each in events]

    def mask_task(self, task: Task) -> Task:
        """The task, and its earlier attempts, with secrets masked; the same object if there are none."""
        changes = self._mask_fields(task)
        attempts = tuple(self._mask_attempt(each) for each in task.earlier)
        if attempts != task.earlier:
            changes["earlier"] = attempts
        return replace(task, **changes) if changes else task

    def mask_positions(self, name: str | None, args: str) -> str:
        """The text of the positional arguments of a task, masked by the rules of `redact_args`."""
        positions = self._masked_positions(name or "")
        if positions == ():
            return args
        return mask_argument_positions(args, positions)

    def has_position_rule(self, name: str | None) -> bool:
        """Whether a rule of `redact_args` concerns this task."""
        return self._masked_positions(name or "") != ()

    def _mask_fields(self, record: Event | Task) -> dict[str, Any]:
        """The fields that contain secrets, masked."""
        changes = self._mask_texts(record, TEXT_FIELDS)
        if self._has_position_rules and record.args is not None:
            masked = self.mask_positions(record.name, changes.get("args", record.args))
            if masked != record.args:
                changes["args"] = masked
        if record.data is not None:
            data = self.mask_value(record.data)
            if data != record.data:
                changes["data"] = data
        return changes

    def _mask_attempt(self, attempt: Attempt) -> Attempt:
        changes = self._mask_texts(attempt, _ATTEMPT_TEXT_FIELDS)
        return replace(attempt, **changes) if changes else attempt

    def _mask_texts(self, record: object, fields: Sequence[str]) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        for field in fields:
            text = getattr(record, field)
            if text is not None and (masked := self.mask_text(text)) is not text:
                changes[field] = masked
        return changes

    def _find_positions(self, name: str) -> tuple[int, ...] | None:
        """Positions that are masked in the arguments of this task; None = all, () = none."""
        matching: set[int] = set()
        for pattern, positions in self.rules.positions:
            if fnmatch.fnmatchcase(name, pattern):
                if positions is None:
                    return None
                matching.update(positions)
        return tuple(sorted(matching))

    def _mask_items(self, value: Any, depth: int) -> Any:
        """For values that are not Python literals, for example with infinite numbers."""
        if depth > _MAX_DEPTH:
            return MASK
        if isinstance(value, Mapping):
            return {
                self.mask_text(str(key)): MASK if self.is_secret(str(key), item) else self.mask_value(item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.mask_value(item, depth + 1) for item in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return MASK if self.mask_text(str(value)) != str(value) else value
        return value

    def _apply_patterns(self, text: str) -> str:
        for mask in self._builtin_masks:
            text = mask(text)
        for pattern in self._custom_patterns:
            text = pattern.sub(named_mask("pattern"), text)
        return text


def _is_numeric(value: Any) -> bool:
    """Whether the value is a number, or a list of nothing else."""
    if isinstance(value, list | tuple):
        return all(map(_is_numeric, value))
    return isinstance(value, int | float)
