"""A door in memory for every test."""

from collections.abc import AsyncIterator

import pytest

from tests.api.door import Door


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with Door().opened() as door:
        yield door
