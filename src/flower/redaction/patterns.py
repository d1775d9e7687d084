"""Built-in patterns of secrets. Each takes time proportional to the length of the text, for every text."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from flower.redaction.prefilter import PrefilterStages
from flower.redaction.url_passwords import mask_url_passwords

#: Replaces a value where the text around it shows the rule: a name, a URL, `Bearer`.
MASK = "***"


def named_mask(rule: str) -> str:
    """The mask of a rule that the surrounding text does not show. It contains `MASK`, so that a re-run detects it."""
    return f"{MASK}{rule}{MASK}"


class SecretPattern(NamedTuple):
    """A pattern and the function that masks its matches."""

    prefilter: PrefilterStages
    replace: Callable[[str], str]


def _mask_url_password(text: str) -> str:
    return mask_url_passwords(text, MASK)


def _mask_bearer(text: str) -> str:
    return _BEARER.sub(rf"\1 {MASK}", text)


def _mask_jwt(text: str) -> str:
    return _JWT.sub(named_mask("jwt"), text)


def _mask_private_key(text: str) -> str:
    return _PRIVATE_KEY.sub(named_mask("private-key"), text)


def _mask_api_key(text: str) -> str:
    # A digit somewhere: identifiers of programs may begin in the same way (`sk-learn-…`).
    text = _API_KEY.sub(lambda match: named_mask("api-key") if _DIGIT.search(match[0]) else match[0], text)
    return _SLACK_WEBHOOK.sub(rf"\1{MASK}", text)


def _mask_signature(text: str) -> str:
    return _SIGNATURE.sub(rf"\1{MASK}", text)


def _mask_sentence(text: str) -> str:
    return _SENTENCE.sub(rf"\1{MASK}", text)


def _mask_card(text: str) -> str:
    text = _GROUPED_CARD.sub(lambda match: named_mask("card") if _passes_luhn(match[0]) else match[0], text)
    return _NAMED_CARD.sub(
        lambda match: f"{match[1]}{named_mask('card')}" if _passes_luhn(match[2]) else match[0], text
    )


#: At least one digit: words about authentication are not secrets.
_BEARER = re.compile(r"\b(bearer|basic)\s+(?=[\w.~+/-]*\d)[\w.~+/-]{8,}=*", re.IGNORECASE | re.ASCII)
_JWT = re.compile(r"\beyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?", re.ASCII)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.S,
)

#: Keys that services issue with a prefix of their own. All are case-sensitive.
_API_KEY_FORMS = (
    r"(?:AKIA|ASIA)[A-Z0-9]{16}",  # AWS
    r"gh[pousr]_[A-Za-z0-9]{30,}", r"github_pat_\w{22,}",
    r"glpat-[\w-]{20,}",  # GitLab
    r"xox[abeoprs]-[\w-]{10,}", r"xapp-\d-[\w-]{10,}",  # Slack
    r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}", r"whsec_[A-Za-z0-9+/]{24,}",  # Stripe
    r"AIza[\w-]{35}", r"ya29\.[\w-]{20,}", r"GOCSPX-[\w-]{20,}",  # Google
    r"SG\.[\w-]{16,}\.[\w-]{16,}",  # SendGrid
    r"npm_[A-Za-z0-9]{36}", r"pypi-AgEI[\w-]{40,}",
    r"sk-(?:proj-|ant-|svcacct-)?[A-Za-z0-9_-]{20,}",  # OpenAI, Anthropic
    r"hf_[A-Za-z0-9]{30,}",  # Hugging Face
    r"do[opr]_v1_[a-f0-9]{64}",  # DigitalOcean
    r"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}",  # Shopify
    r"hv[sb]\.[\w-]{24,}",  # Vault
    r"dapi[a-f0-9]{32}",  # Databricks
    r"key-[a-f0-9]{32}",  # Mailgun
    r"\d{8,10}:AA[\w-]{33}",  # Telegram
    r"AGE-SECRET-KEY-1[A-Z0-9]{50,}",
)  # fmt: skip
_API_KEY = re.compile(rf"(?<![\w-])(?:{'|'.join(_API_KEY_FORMS)})(?!\w)", re.ASCII)
_DIGIT = re.compile(r"\d")
_SLACK_WEBHOOK = re.compile(r"(hooks\.slack\.com/(?:services|workflows)/)[\w/-]{10,}", re.ASCII | re.IGNORECASE)

#: Signatures in the query of a signed URL, also of one inside another URL.
_SIGNATURE = re.compile(
    r"((?:[?&;]|%3F|%26)(?:x-(?:amz|goog|ms|oss|cos)-(?:signature|security-token)|signature|sig|hmac)(?:=|%3D))"
    r"[^&\s'\"<>\\;#]{6,}",
    re.IGNORECASE,
)

#: `the password is hunter2`: the value contains a digit or a symbol, so that `is wrong` is not masked.
_SENTENCE = re.compile(
    r"\b((?:pass(?:word|wd|phrase|code|wort)|pwd|pin|otp|secret|token|(?:api|access|secret)[ _-]key)\s{1,4}"
    r"(?:is|was|ist)\s{0,4}:?\s{1,4}\\{0,8}['\"`]?)"
    r"(?!\*\*\*)(?=[^\s'\"`,;]{0,64}?[\d!@#$%^&*+=~])[^\s'\"`,;)\\]{4,}",
    re.IGNORECASE,
)

#: First digits and lengths of the numbers of common cards.
_CARD_START = r"(?:4\d{3}|5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720|6011|65\d\d)"
_CARD_END = r"(?![\w-]|\.\d)"
#: Groups with a separator. Without one a number of 16 digits is more often an id than a card.
_GROUPED_CARD = re.compile(
    rf"(?<![\w.-])(?:{_CARD_START}(?P<separator>[ -])\d{{4}}(?:(?P=separator)\d{{4}}){{2}}"
    rf"|3[47]\d\d[ -]\d{{6}}[ -]\d{{5}}){_CARD_END}",
    re.ASCII,
)
#: Digits without groups after a word that suggests a card.
_NAMED_CARD = re.compile(
    r"((?:card|visa|amex|creditcard|kreditkarte|\bpan\b|\bcc(?:num|_?number)?\b)[^\d\n]{0,24})"
    rf"(?<![\w.-])({_CARD_START}\d{{12}}|3[47]\d{{13}}){_CARD_END}",
    re.ASCII | re.IGNORECASE,
)


def _passes_luhn(text: str) -> bool:
    digits = [int(letter) for letter in reversed(text) if letter.isdecimal()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


#: Before a word, in a text that may be escaped.
_START = r"(?:^|[^\w-]|\\[nrtbf])"
_SPACE = r"(?:\s|\\+[nrt])"
_SENTENCE_START = rf"(?:pass(?:word|wd|phrase|code|wort)|pwd|pin|otp|secret|token|key){_SPACE}+(?:is|was|ist)"
_KEY_START = (
    rf"{_START}(?:AKIA[A-Z0-9]|ASIA[A-Z0-9]|gh[pousr]_\w|github_pat_|glpat-\w|xox[abeoprs]-|xapp-\d|[rs]k_(?:live|test)_"
    r"|whsec_|AIza\w|ya29\.|GOCSPX-|SG\.[\w-]|npm_\w|pypi-AgEI|sk-[\w-]|hf_\w|do[opr]_v1_|shp(?:at|ca|pa|ss)_|hv[sb]\."
    r"|dapi[a-f0-9]|key-[a-f0-9]|\d{8,10}:AA|AGE-SECRET-KEY-)|hooks\.slack\.com/"
)
_CARD_WORD = r"(?:card|karte|visa|amex|(?:^|[^\w]|\\[nrt])(?:pan|cc(?:num|_?number)?)(?:[^\w]|$))"
_CARD_GROUPS = r"(?:^|[^\w.-]|\\[nrt])[2-6]\d{3}[ -]\d{4,6}[ -]\d{4}"

SECRET_PATTERNS: Mapping[str, SecretPattern] = {
    "url": SecretPattern(
        PrefilterStages(
            r"://[^\s/:@'\"]*:|%3A%2F%2F",
            r"://[^\s/:@'\"]*:(?:[^\s\"]|\"[\w!#$%^&*+/.@-])*@|%3A%2F%2F[^\s\"]*%3A[^\s\"]*%40",
        ),
        _mask_url_password,
    ),
    "bearer": SecretPattern(PrefilterStages(rf"(?:bearer|basic){_SPACE}"), _mask_bearer),
    "jwt": SecretPattern(PrefilterStages(r"eyJ[\w-]", r"eyJ[\w-]{8}"), _mask_jwt),
    "private-key": SecretPattern(PrefilterStages(r"PRIVATE KEY(?: BLOCK)?-----"), _mask_private_key),
    "api-key": SecretPattern(PrefilterStages(_KEY_START), _mask_api_key),
    "signed-url": SecretPattern(
        PrefilterStages(r"(?:signature|security-token|[?&;]sig|%3Fsig|%26sig|hmac)(?:=|%3D)"), _mask_signature
    ),
    "sentence": SecretPattern(PrefilterStages(_SENTENCE_START), _mask_sentence),
    "card": SecretPattern(
        PrefilterStages(f"{_CARD_GROUPS}|{_CARD_WORD}", rf"{_CARD_GROUPS}|{_CARD_WORD}[^\n]*[2-6]\d{{14}}"), _mask_card
    ),
}
