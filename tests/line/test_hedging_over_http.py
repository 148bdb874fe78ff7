"""Second calls beside slow ones, over HTTP: whoever is left is left, and what was called is what is billed."""

import asyncio

import pytest

from domain.admission.prepare import Preparer
from domain.prompting.library import Library
from domain.routing.catalogue import Catalogue
from tests.line.memory_line import TEMPLATES, outcomes, request
from tests.line.over_http import PacedLine, Told

pytestmark = pytest.mark.integration

TEXT = """
price_version: "1"
providers: {simulated: {base_url: "${URL}"}}
models:
  - {provider: simulated, model: small, price: {input: 0.15, output: 0.60}}
  - {provider: simulated, model: large, price: {input: 2.50, output: 10}}
aliases: {fast: {models: [simulated/small, simulated/large], hedge: {after: p95}}, smart: [simulated/large]}
"""


async def test_L8_four_of_eighty_calls_have_a_second_one_and_the_ledger_is_the_providers_bill(
    line: PacedLine, provider: Told
) -> None:
    url = provider.url.removesuffix("/control") + "/v1"
    line.preparer = Preparer(Library.load([TEMPLATES]), Catalogue.load(TEXT, {"URL": url}), line.preparer.book)
    worker = await line.infer()

    async def ask(count: int, since: int) -> None:
        bodies = [request(f"r{since + n}", model="fast", lane="interactive", cache="bypass") for n in range(count)]
        await line.intake().handle_batch([line.publish(body) for body in bodies])
        await line.run([worker], lambda: len(line.broker.values("prompt.results")) == since + count, None)

    # limits that are told: sixty calls at once need no proof of the pace before them
    await provider.tell(model="large", requests_per_second=1000)
    await provider.tell(model="small", requests_per_second=1000, latency_ms={"mean": 10})
    async with asyncio.timeout(60):
        await ask(20, 0)
        # far longer than the first ones took, on a machine that stood still meanwhile too
        await provider.tell(model="small", requests_per_second=1000, latency_ms={"mean": 4000})
        await ask(60, 20)
    results = line.out("prompt.results")
    counted = await provider.counters()
    assert ({row["status"] for row in results}, len(results)) == ({"completed"}, 80)
    assert [row["model"] for row in results].count("large") == 4
    assert (counted["calls"], outcomes(line).count("unknown")) == (84, 4)
    assert max(counted["calls_by_request"].values()) == 2
    assert len(line.out("prompt.usage")) == 84
