"""The form of API keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.accounts import keys
from domain.accounts.limits import limits_of
from domain.accounts.model import ApiKey, Tenant
from domain.admission.model import Limit
from domain.errors import InvalidSettings
from tests.api.door import PEPPER, utc_now


def test_a_key_is_well_formed_and_unlike_any_other() -> None:
    made = {keys.generate() for _ in range(500)}
    assert len(made) == 500
    assert all(keys.well_formed(key) and key.startswith("sp_live_") for key in made)


@given(st.integers(0, keys.LENGTH - 1), st.characters(codec="utf-8"))
def test_one_wrong_character_is_always_noticed(place: int, character: str) -> None:
    key = keys.generate()
    wrong = key[:place] + character + key[place + 1 :]
    assert keys.well_formed(wrong) == (wrong == key)


@given(st.text(max_size=60))
def test_anything_else_is_not_a_key(text: str) -> None:
    assert not keys.well_formed(text)


def test_only_a_keyed_hash_is_stored() -> None:
    issued = keys.issue("acme", "ci", PEPPER, utc_now())
    assert issued.key.digest == keys.digest(PEPPER, issued.secret) != keys.digest(b"another pepper", issued.secret)
    assert len(issued.key.digest) == 32
    assert issued.secret.startswith(issued.key.hint)
    assert issued.secret not in repr(issued)


def test_a_short_pepper_is_refused_with_the_remedy() -> None:
    with pytest.raises(InvalidSettings, match="openssl rand"):
        keys.pepper("short")
    assert keys.pepper("x" * 32) == b"x" * 32


def _key(**limits: int) -> ApiKey:
    return ApiKey("k1", "acme", "ci", b"", "sp_live_abcd", utc_now(), **limits)


def test_limits_fall_back_from_key_to_tenant_to_settings() -> None:
    assert limits_of(Tenant("acme"), _key(), 600, 60) == (Limit("acme", 600, 60),)
    assert limits_of(Tenant("acme", requests_per_minute=30), None, 600, 60) == (Limit("acme", 30, 30),)
    assert limits_of(Tenant("acme", requests_per_minute=30, burst=5), _key(requests_per_minute=10), 600, 60) == (
        Limit("acme", 30, 5),
        Limit("acme/key/k1", 10, 10),
    )
