"""Sources made over HTTP: the rules of the file, and secrets that are sealed."""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.errors import Permanent
from domain.sources.model import Wrong
from domain.sources.stored import checked, kept, opened, parted, shown

PEPPER = b"p" * 32
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "whsec_" + b64encode(b"s" * 24).decode()
FORMS = {"webhook": {"secret": SECRET}, "request": {"tenant": "acme"}, "map": {"prompt": "text"}}
REVIEWS = {
    "topic": "shop.reviews", "format": "avro", "registry": {"url": "http://registry", "auth": "user:word"},
    "request": {"tenant": "acme"}, "map": {"prompt": "text"},
}  # fmt: skip
ARCHIVE = {
    "bucket": {"name": "acme-tickets", "access_key": "the-id", "secret_key": "the-key"},
    "request": {"tenant": "acme"}, "map": {"prompt": "text"},
}  # fmt: skip


@pytest.mark.parametrize("asked", [FORMS, REVIEWS, ARCHIVE])
def test_secrets_are_sealed_and_opened_again(asked: dict[str, Any]) -> None:
    fields, values = parted(asked)
    made = kept("some", fields, values, PEPPER, NOW)
    for secret in (SECRET, "user:word", "the-id", "the-key"):
        assert secret.encode() not in made.sealed
        assert secret not in str(made.fields)
        assert secret not in str(shown(made.fields))
    found, given = opened(made, PEPPER), checked("some", fields, values)
    assert (found.secrets, found.format, found.bucket) == (given.secrets, given.format, given.bucket)
    assert (found.topic, found.constants) == (given.topic, given.constants)
    with pytest.raises(Permanent, match="KEY_PEPPER"):
        opened(made, b"q" * 32)


def test_what_was_put_is_shown_with_null_for_secrets() -> None:
    fields, _ = parted(ARCHIVE)
    bucket = {"name": "acme-tickets", "access_key": None, "secret_key": None}
    assert shown(fields) == {**ARCHIVE, "bucket": bucket}


def test_a_source_without_secrets_needs_no_pepper() -> None:
    asked = {"topic": "crm.tickets", "request": {"tenant": "acme"}, "map": {"prompt": "text"}}
    made = kept("tickets", *parted(asked), PEPPER, NOW)
    assert made.sealed == b""
    assert opened(made, b"").topic == "crm.tickets"


@pytest.mark.parametrize(
    ("name", "asked", "said"),
    [
        ("Forms", FORMS, "a name is up to 40 small letters"),
        ("forms", {"request": {"tenant": "acme"}}, "it needs a `topic` or a `bucket`"),
        ("forms", {**FORMS, "webhook": {"secret": "short"}}, "webhook.secret: a secret"),
        ("forms", {**FORMS, "webhook": {"secret": None}}, "webhook.secret: Field required"),
        ("forms", {**FORMS, "request": {}}, "`request.tenant` names the tenant"),
        ("forms", {**FORMS, "map": {"prompt": "["}}, "prompt"),
        ("reviews", {**REVIEWS, "registry": {"url": "http://registry", "auth": "word"}}, "registry.auth: is not user"),
        ("archive", {**ARCHIVE, "bucket": {"name": "acme", "access_key": "x"}}, "`access_key` and `secret_key`"),
    ],
)  # fmt: skip
def test_the_rules_are_those_of_the_file(name: str, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(Wrong) as told:
        checked(name, *parted(asked))
    assert said in str(told.value)
