"""Signatures of events, by an implementation that is not ours, and the ways they are wrong."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from domain.sources.signature import keys, objection

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET, OTHER = ("whsec_" + b64encode(bytes([n]) * 24).decode() for n in (1, 2))
BODY = '{"number": 4711, "text": "Grüße"}'


def signed(secret: str = SECRET, at: datetime = NOW, id: str = "msg_1", body: str = BODY) -> dict[str, str]:
    signature = Webhook(secret).sign(id, at, body)
    return {"webhook-id": id, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}


def refused(headers: dict[str, str], body: str = BODY, secrets: str = SECRET) -> str | None:
    return objection(headers, body.encode(), keys(secrets), NOW)


def test_what_another_implementation_signs_is_taken() -> None:
    assert refused(signed()) is None


def test_while_a_secret_is_replaced_both_are_taken() -> None:
    assert [refused(signed(secret), secrets=f"{SECRET} {OTHER}") for secret in (SECRET, OTHER)] == [None, None]
    both = signed() | {"webhook-signature": f"v1a,x v1,{'A' * 44} {signed(OTHER)['webhook-signature']}"}
    assert refused(both, secrets=OTHER) is None


@pytest.mark.parametrize("passed", [-301, 301, 86_400, -86_400])
def test_an_old_copy_is_refused(passed: int) -> None:
    assert "within 5 minutes" in str(refused(signed(at=NOW + timedelta(seconds=passed))))


@pytest.mark.parametrize("passed", [-299, 0, 299])
def test_clocks_may_differ(passed: int) -> None:
    assert refused(signed(at=NOW + timedelta(seconds=passed))) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": str(int(NOW.timestamp()) + 1)},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": "١٧٦٧٢٢٥٦٠٠"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": ""},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,ä"},
        {"webhook-signature": signed()["webhook-signature"].removeprefix("v1,")},
        {"webhook-signature": signed()["webhook-signature"].replace("v1,", "v2,")},
        {"webhook-signature": signed()["webhook-signature"][:-1]},
        {"webhook-signature": signed(OTHER)["webhook-signature"]},
        {"webhook-id": ""},
    ],
)
def test_what_was_changed_is_refused(changed: dict[str, str]) -> None:
    assert refused(signed() | changed) is not None


def test_another_body_is_refused() -> None:
    assert refused(signed(), BODY + " ") is not None


@pytest.mark.parametrize("text", ["", " ", "whsec_", "whsec_!!", "whsec_c2hvcnQ="])
def test_what_is_no_secret_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match="secret") as caught:
        keys(text)
    assert "c2hvcnQ" not in str(caught.value)
