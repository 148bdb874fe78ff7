"""Personal data and secrets in the variables of a template, replaced by what they are: `[email]`, `[card]`, …

A template's file names the kinds (`redact: [email, phone]`). What is replaced never reaches a provider, the topics of
calls, the ledger's call or the cache's key; the request's own record on `prompt.requests` is as its sender sent it.
Patterns have bounded repeats; numbers with a checksum are checked, so that an order number is no card.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Kind = Literal["email", "phone", "card", "iban", "ip", "ssn", "secret"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def _luhn(found: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    digits = [int(one) for one in found if one.isdigit()]
    doubled = [sum(divmod(2 * one, 10)) for one in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _mod_97(found: str) -> bool:
    """ISO 13616: letters become two digits, the whole is 1 modulo 97."""
    plain = "".join(found.split()).upper()
    turned = plain[4:] + plain[:4]
    return 15 <= len(plain) <= 34 and int("".join(str(int(one, 36)) for one in turned)) % 97 == 1


def _phone(found: str) -> bool:
    return 8 <= sum(one.isdigit() for one in found) <= 15


def _always(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: "re.Pattern[str]"
    certain: Callable[[str], bool] = _always


_SECRETS = (
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[A-Za-z0-9+/=\s-]{0,10000}-----END [A-Z ]{0,30}PRIVATE KEY-----",
    r"\bey[A-Za-z0-9_-]{10,2000}\.ey[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,2000}",  # JSON Web Token
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",  # AWS
    r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b|\bgithub_pat_[A-Za-z0-9_]{22,255}\b",
    r"\bsk-[A-Za-z0-9_-]{20,200}|\bsk_(?:live|test)_[A-Za-z0-9]{16,200}|\bsp_live_[A-Za-z0-9_-]{16,200}",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,200}",  # Slack
    r"\bAIza[A-Za-z0-9_-]{35}",  # Google
)
_PHONE = r"(?<![\w.])(?:\+\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){2,7}|\(?0\d{1,5}\)?(?:[ /-]{0,2}\d{1,5}){1,6})(?![\w-])"
# in this order: what is longer and more certain first
_RULES: Mapping[Kind, _Rule] = {
    "secret": _Rule(re.compile("|".join(_SECRETS))),
    "email": _Rule(re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")),
    "iban": _Rule(re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), _mod_97),
    "card": _Rule(re.compile(r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d-])"), _luhn),
    "ssn": _Rule(re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")),
    "ip": _Rule(re.compile(r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])")),
    "phone": _Rule(re.compile(_PHONE), _phone),
}


def redacted(value: Any, kinds: Iterable[Kind]) -> Any:
    """The value with these kinds replaced, within lists and objects too, names of fields included."""
    if isinstance(value, str):
        return _text(value, frozenset(kinds))
    if isinstance(value, list):
        return [redacted(one, kinds) for one in value]
    if isinstance(value, dict):
        return {redacted(name, kinds): redacted(one, kinds) for name, one in value.items()}
    return value


def _text(text: str, kinds: frozenset[Kind]) -> str:
    for kind, rule in _RULES.items():
        if kind in kinds:
            text = rule.pattern.sub(lambda found, kind=kind, rule=rule: _replaced(found[0], kind, rule), text)  # type: ignore[misc]
    return text


def _replaced(found: str, kind: Kind, rule: _Rule) -> str:
    return f"[{kind}]" if rule.certain(found) else found
