"""Signatures as receivers check them: with the libraries of Standard Webhooks and of Svix."""

import sys
from base64 import b64decode
from datetime import UTC, date, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook as StandardWebhook
from standardwebhooks.webhooks import WebhookVerificationError
from svix.webhooks import Webhook as SvixWebhook

from domain.webhooks.model import Due, Endpoint, Key
from domain.webhooks.signing import OLD_SECRET, headers, keys_of, secret_key, shown

PEPPER, BODY = b"p" * 32, '{"type":"request.completed","data":"ü"}'.encode()
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers' libraries read the machine's clock, and refuse what is older than five minutes."""
    monkeypatch.setattr(sys.modules[__name__], "NOW", datetime.now(UTC))


def due(target: Endpoint | None) -> Due:
    return Due(Key("acme", "wh_1", "msg_1", date(2026, 1, 1)), "t", BODY, 0, "https://a.example", target)


def endpoint(salt: bytes = b"new", old: bytes | None = None, until: datetime | None = None) -> Endpoint:
    return Endpoint("acme", "wh_1", "https://a.example", (), salt, NOW, old_salt=old, old_until=until)


def secret(salt: bytes, endpoint: str = "wh_1") -> str:
    return shown(secret_key(PEPPER, "acme", endpoint, salt))


@pytest.mark.parametrize("library", [StandardWebhook, SvixWebhook])
def test_a_delivery_is_verified_by_the_receivers_library(library: type[StandardWebhook]) -> None:
    signed = headers("msg_1", NOW, BODY, keys_of(PEPPER, due(endpoint()), NOW))
    library(secret(b"new")).verify(BODY.decode(), signed)  # raises where it does not hold
    with pytest.raises(Exception, match="signature"):
        library(secret(b"other")).verify(BODY.decode(), signed)
    with pytest.raises(Exception, match="signature"):
        library(secret(b"new")).verify(BODY.decode() + " ", signed)
    with pytest.raises(Exception, match="signature"):
        library(secret(b"new")).verify(BODY.decode(), {**signed, "webhook-id": "msg_2"})


def test_a_delivery_that_is_replayed_later_is_too_old_for_its_receiver() -> None:
    old = headers("msg_1", NOW - timedelta(minutes=6), BODY, keys_of(PEPPER, due(endpoint()), NOW))
    with pytest.raises(WebhookVerificationError, match="old"):
        StandardWebhook(secret(b"new")).verify(BODY, old)


def test_for_a_day_after_a_rotation_both_secrets_verify_and_then_only_the_new_one() -> None:
    target = endpoint(b"new", b"old", NOW + OLD_SECRET)
    for library in (StandardWebhook, SvixWebhook):
        signed = headers("msg_1", NOW, BODY, keys_of(PEPPER, due(target), NOW + timedelta(hours=23)))
        assert len(signed["webhook-signature"].split(" ")) == 2
        for salt in (b"new", b"old"):
            library(secret(salt)).verify(BODY.decode(), signed)
    signed = headers("msg_1", NOW, BODY, keys_of(PEPPER, due(target), NOW + timedelta(hours=24)))
    StandardWebhook(secret(b"new")).verify(BODY, signed)
    with pytest.raises(WebhookVerificationError):
        StandardWebhook(secret(b"old")).verify(BODY, signed)


def test_a_callback_is_signed_with_the_tenants_secret_of_callbacks() -> None:
    signed = headers("msg_1", NOW, BODY, keys_of(PEPPER, due(None), NOW))
    StandardWebhook(secret(b"", "callbacks")).verify(BODY, signed)


def test_secrets_differ_by_tenant_endpoint_salt_and_pepper_and_have_32_bytes() -> None:
    found = {
        secret_key(PEPPER, "acme", "wh_1", b"a"), secret_key(PEPPER, "globex", "wh_1", b"a"),
        secret_key(PEPPER, "acme", "wh_2", b"a"), secret_key(PEPPER, "acme", "wh_1", b"b"),
        secret_key(b"q" * 32, "acme", "wh_1", b"a"),
    }  # fmt: skip
    assert len(found) == 5
    assert {len(b64decode(shown(key).removeprefix("whsec_"))) for key in found} == {32}
