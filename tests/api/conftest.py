"""A door in memory for every test."""

from collections.abc import AsyncIterator

import httpx
import pytest

from api.application import create_app
from tests.api.described import Document, unnamed
from tests.api.door import Door


@pytest.fixture(scope="session")
def document() -> Document:
    door = Door()
    return create_app(door.ports, door.settings).openapi()


@pytest.fixture
async def door(document: Document) -> AsyncIterator[Door]:
    """Whatever a test asks: no answer carries a header that the OpenAPI document does not name."""
    missing: set[str] = set()

    async def look(answer: httpx.Response) -> None:
        missing.update(unnamed(document, answer))

    async with Door().opened() as door:
        for client in (door.client, door.strangers):
            client.event_hooks = {"response": [look]}
        yield door
    assert missing == set()
