"""Poison among good requests: each ends where it belongs, and the good ones are answered."""

import pytest

from tests.e2e.conftest import Product
from tests.e2e.poison import KINDS, expected, run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
COUNT = 2_000


def test_poison_of_twenty_kinds_is_in_the_dead_letters_and_harms_nobody(product: Product) -> None:
    assert len(KINDS) == 20
    outcome = run(product, COUNT, poisoned=True)
    assert outcome.letters == expected(COUNT)
    assert outcome.ends == {"completed": COUNT}
