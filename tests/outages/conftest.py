"""One product behind the fault proxy for all tests of outages in a session."""

from collections.abc import Iterator

import pytest

from tests.outages.product import Proxied, started


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--outages") == "full":
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip("only with --outages full"))


@pytest.fixture(scope="session")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    with started(tmp_path_factory.mktemp("outages"), "--workers", "1,1,1", "--apis", "1") as product:
        yield product


@pytest.fixture
def product(proxied: Proxied) -> Iterator[Proxied]:
    """All engines there and everything healthy, before and after."""
    proxied.wait_healthy()
    yield proxied
    proxied.restore()
    proxied.wait_healthy()
    proxied.control("DELETE")
