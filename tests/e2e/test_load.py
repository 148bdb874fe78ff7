"""The load scenarios in their short form (`make load` is the long one): no request fails."""

from pathlib import Path

import pytest

from tests.e2e.conftest import Product
from tests.load.__main__ import Order, Target, load

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
CLIENTS, SECONDS = 10, 4


@pytest.mark.parametrize("scenario", ["steady", "burst", "soak", "mixed"])
def test_no_request_fails(product: Product, scenario: str, tmp_path: Path) -> None:
    order = Order(scenario, CLIENTS, SECONDS, tmp_path)
    code, rows = load(order, Target(product.env["API_URL"], product.env["API_KEY"]))
    assert {name: failed for name, (_, failed) in rows.items() if failed} == {}
    assert code == 0
    assert sum(asked for asked, _ in rows.values()) >= CLIENTS
    page = tmp_path / f"{scenario}.html"
    assert "<script src=" not in page.read_text()
