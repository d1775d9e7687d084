"""What must not be kept or shown: values under telling names, and what looks like a secret wherever it stands.

Events are redacted when they are captured, so that nothing behind capture ever holds what was masked. Addresses and
settings are masked when they are shown.
"""

from flower.redaction.addresses import masked
from flower.redaction.configuration import masked_settings
from flower.redaction.looks import MASK
from flower.redaction.redactor import Redactor
from flower.redaction.rules import BUILT_IN, NAMES, Rules, rules_from

__all__ = ["BUILT_IN", "MASK", "NAMES", "Redactor", "Rules", "masked", "masked_settings", "rules_from"]
