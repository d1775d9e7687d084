"""What must not be kept or shown: values under telling names, and what looks like a secret wherever it stands.

Events are redacted when they are captured, so that nothing behind capture ever holds what was masked. Addresses and
settings are masked when they are shown.
"""

from flower.redaction.patterns import MASK
from flower.redaction.redactor import Redactor
from flower.redaction.rules import BUILTIN_PATTERNS, DEFAULT_NAMES, Rules, parse_rules
from flower.redaction.settings import mask_settings, mask_url

__all__ = ["BUILTIN_PATTERNS", "DEFAULT_NAMES", "MASK", "Redactor", "Rules", "mask_settings", "mask_url", "parse_rules"]
