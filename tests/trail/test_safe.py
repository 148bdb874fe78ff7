"""What may stand in the audit log."""

from typing import Any

import pytest

from domain.trail.safe import MOST_BYTES, mark, safe


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"secret": "x", "client_secret": "x", "password": "x", "token": "x"}, "…"),
        ({"api_key": "x", "secret_access_key": "x", "Authorization": "x", "privateKey": "…"}, "…"),
        ({"note": "sp_" + "live_abcdefgh12345678"}, "…"),
        ({"note": "whsec" + "_QUJDREVGR0hJSktM"}, "…"),
    ],
)
def test_what_looks_like_a_secret_is_left_out(state: dict[str, Any], told: str) -> None:
    assert set(safe(state).values()) == {told}


@pytest.mark.parametrize(
    "state",
    [
        {"api_key_id": "key_93ac0f1b22d4e677", "tokens_per_minute": 5, "token_burst": None, "secret": None},
        {"fields": ["a", "b"], "period": "month", "endpoint": "https://s3.example.com", "paused_at": None},
        {"endpoint": "http://127.0.0.1:9000/"},
        None,
    ],
)
def test_what_is_none_stays(state: dict[str, Any] | None) -> None:
    assert safe(state) == state


def test_an_address_keeps_its_host() -> None:
    told = safe({"url": "https://user:pass@hooks.example.com:8443/T/B/X?key=1", "note": "see https://a.example/b now"})
    assert told["url"].startswith("https://hooks.example.com:8443/… (")
    assert told["note"].startswith("see https://a.example/… (")
    assert told["note"].endswith(") now")
    other = safe({"url": "https://user:pass@hooks.example.com:8443/T/B/Y?key=1"})
    assert told["url"] != other["url"], "that it changed is told"
    assert safe({"url": "http://[broken/x"}) == {"url": "…"}


def test_what_is_large_is_told_by_its_size() -> None:
    told = safe({"map": {f"field{n}": "x" * 100 for n in range(1_000)}})
    assert told.keys() == {"left_out_bytes", "sha256"}
    assert told["left_out_bytes"] > MOST_BYTES


def test_a_mark_tells_secrets_from_one_another() -> None:
    assert mark(b"") is None
    assert mark(b"one") not in (None, mark(b"two"))
