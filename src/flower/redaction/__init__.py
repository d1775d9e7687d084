"""Redaction of secrets: values under secret names, and text that matches the pattern of a secret.

Events are redacted when they are captured, so that no code behind capture handles masked values. URLs and settings are
masked when they are shown.

masks          finds the masks of a recorded task, and their rules
names          default names, and the decision whether the values of a name are masked
patterns       built-in patterns of secrets: URL passwords, tokens, keys, card numbers
prefilter      decides quickly that a message contains no secret
redactor       applies the rules to text, values and events
repr_masking   masks values inside the repr of Python values
rules          parses the options `redact`, `redact_patterns` and `redact_args`
settings       masks URLs and Celery settings
shapes         corpus of shapes (`shapes.toml`), and the check of rules against it
structures     secrets in pairs, command lines, XML elements and objects with a name and a value
url_passwords  masks the passwords of URLs in text
value_spans    finds where values end in text
"""

from flower.redaction.names import DEFAULT_NAMES
from flower.redaction.patterns import MASK
from flower.redaction.redactor import Redactor
from flower.redaction.rules import BUILTIN_PATTERNS, Rules, parse_rules
from flower.redaction.settings import mask_settings, mask_url

__all__ = ["BUILTIN_PATTERNS", "DEFAULT_NAMES", "MASK", "Redactor", "Rules", "mask_settings", "mask_url", "parse_rules"]
