"""One stack behind the fault proxy for all tests that break it and leave it whole."""

from collections.abc import Iterator

import pytest

from tests.chaos.running import Running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("chaos")) as running:
        yield running
