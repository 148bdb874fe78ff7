"""A line over HTTP, and the simulated provider's other door."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from connectors.llm.direct import DirectModel
from connectors.redis.client import RedisClient
from tests.conftest import Engines
from tests.line.over_http import PacedLine, Told


@pytest.fixture
async def provider(engines: Engines) -> AsyncIterator[Told]:
    async with aiohttp.ClientSession() as session:
        told = Told(f"{engines.provider_url.removesuffix('/v1')}/control", session)
        await told.reset()
        yield told
        await told.reset()


@pytest.fixture
async def line(engines: Engines, redis_url: str) -> AsyncIterator[PacedLine]:
    client, model = RedisClient(redis_url, timeout_s=5), DirectModel()
    yield PacedLine(engines.provider_url, client, model)
    await model.close()
    await client.close()
