"""Personal data and secrets in the variables of a template."""

import time

import pytest

from domain.prompting.library import Library
from domain.safety.redaction import KINDS, redacted

FILE = """
name: reply
version: 1
redact: [email, phone]
variables: {text: {}}
messages: [{role: user, content: "{{ text }}"}]
"""


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("write to ann.lee+x@mail.example.co.uk today", "write to [email] today"),
        ("call +49 170 1234567 or (030) 123456-7", "call [phone] or [phone]"),
        ("+1 (415) 555-2671", "[phone]"),
        ("card 4111 1111 1111 1111.", "card [card]."),
        ("order 4111 1111 1111 1112", "order 4111 1111 1111 1112"),
        ("to DE89 3704 0044 0532 0130 00 now", "to [iban] now"),
        ("from 10.1.2.3, not 1.2.3.4.5", "from [ip], not 1.2.3.4.5"),
        ("ssn 123-45-6789", "ssn [ssn]"),
        ("key sk-abcdefghijklmnopqrstuvwx", "key [secret]"),
        ("AKIAIOSFODNN7EXAMPLE and ghp_" + "a" * 36, "[secret] and [secret]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "[secret]"),
        ("at 12:30 on 01.02.2026, 1234567.89 EUR", "at 12:30 on 01.02.2026, 1234567.89 EUR"),
    ],
)
def test_what_is_replaced(text: str, hidden: str) -> None:
    assert redacted(text, KINDS) == hidden
    assert redacted({text: [text, 1]}, KINDS) == {hidden: [hidden, 1]}
    assert redacted(text, ()) == text


def test_what_has_the_wrong_checksum_is_none() -> None:
    assert redacted("DE89 3704 0044 0532 0130 01", ["iban", "card"]) == "DE89 3704 0044 0532 0130 01"


def test_a_template_names_the_kinds() -> None:
    template = Library.parse({"reply/1.yaml": FILE}).get("reply")
    [message] = template.render({"text": "a@b.example, 10.1.2.3, +49 170 1234567"})
    assert message["content"] == "[email], 10.1.2.3, [phone]"


@pytest.mark.parametrize("text", ["a" * 50_000, "a@" + "a." * 25_000, "0" * 50_000, "AB12 " * 10_000, "1 " * 25_000])
def test_no_text_takes_long(text: str) -> None:
    started = time.perf_counter()
    redacted(text, KINDS)
    assert time.perf_counter() - started < 2
