"""A deployment at its limit: who goes to the next of its alias, who waits, and what that may cost."""

import asyncio
from typing import Any

import pytest

from agents.infer.handler import Infer
from domain.admission.prepare import Preparer
from domain.pacing.model import Ask, Heard
from domain.pacing.told import Gauge, Told
from domain.prompting.library import Library
from domain.routing.catalogue import Catalogue
from domain.schemas.book import Book
from tests.line.memory_line import TEMPLATES, MemoryLine, request

CATALOGUE = """
price_version: "1"
providers: {here: {base_url: "http://127.0.0.1:1/v1"}}
models:
  - {provider: here, model: small, price: {input: 1, output: 2}}
  - {provider: here, model: twin, price: {input: 1, output: 2}}
  - {provider: here, model: large, price: {input: 10, output: 20}}
aliases:
  fast: [here/small, here/large]
  smart: {strategy: cheapest, models: [here/large, here/small, here/twin]}
  patient: {models: [here/small, here/large], spillover_s: null}
  hasty: {models: [here/small, here/large], spillover_s: 0.05}
"""


class PacedLine(MemoryLine):
    def __init__(self) -> None:
        super().__init__()
        self.preparer = Preparer(
            Library.load([TEMPLATES]), Catalogue.load(CATALOGUE, {}), Book(self.schemas.find, self.seconds)
        )

    async def exhaust(self, *models: str, seconds: float = 60.0) -> None:
        """No call to these for so many seconds."""
        refused = Heard(limited=True, told=Told(Gauge(20, 0, 20.0)), retry_after=seconds)
        await self.pacer.pace([Ask(f"here/{model}", "other", heard=(refused,)) for model in models])

    @property
    def asked(self) -> list[str]:
        return [call.deployment.model for call in self.model.calls]

    @property
    def waits(self) -> list[str]:
        return [event["data"]["reason"] for event in self.out("prompt.events")]


async def asks(line: PacedLine, *models: str, infer: Infer | None = None, **more: Any) -> dict[str, Any] | None:
    """One request while these are at their limit."""
    worker = infer or await line.infer()
    await line.exhaust(*models)
    return await line.answer(request(**{"model": "fast", "cache": "bypass", **more}), worker)


@pytest.mark.parametrize("lane", ["interactive", "standard"])
async def test_who_would_wait_for_longer_than_five_seconds_goes_to_the_next(lane: str) -> None:
    line = PacedLine()
    infer = await line.infer()
    result = await asks(line, "small", infer=infer, lane=lane)
    assert result is not None
    assert (result["status"], result["model"], result["usage"]["attempts"]) == ("completed", "large", 1)
    assert (line.asked, line.waits) == (["large"], [])
    assert line.metrics.value("spillovers", provider="here", model="small") == 1
    assert [seen.slots for seen in infer._ports.caller.routes.seen.values()] == [0, 0]


async def test_bulk_waits_rather_than_pay_more_and_goes_where_it_pays_no_more() -> None:
    line = PacedLine()
    assert await asks(line, "small", lane="bulk") is None
    assert (line.asked, line.waits) == ([], ["pacing"])
    line = PacedLine()
    result = await asks(line, "small", lane="bulk", model="smart")
    assert result is not None
    assert line.asked == ["twin"]


async def test_where_all_are_at_their_limit_it_waits_for_its_own() -> None:
    line = PacedLine()
    assert await asks(line, "small", "large") is None
    assert (line.asked, line.waits) == ([], ["pacing"])
    line.pass_time(seconds=61)
    await line.wake().wake_due()
    await (await line.infer("w2")).handle(line.calls()[0])
    assert line.asked == ["small"]


async def test_an_alias_may_say_that_its_calls_wait() -> None:
    line = PacedLine()
    assert await asks(line, "small", model="patient") is None
    assert (line.asked, line.waits) == ([], ["pacing"])


async def test_nobody_pays_another_price_for_a_short_wait_unless_the_alias_says_so() -> None:
    for alias, asked in {"fast": "small", "hasty": "large"}.items():
        line = PacedLine()
        infer = await line.infer()
        await line.exhaust("small", seconds=1.0)
        await line.intake().handle_batch([line.publish(request(model=alias))])
        work = asyncio.ensure_future(infer.handle(line.calls()[0]))
        for _ in range(30 if alias == "fast" else 100):
            await asyncio.sleep(0.01)
            line.pass_time(seconds=0.05 if alias == "fast" else 0.0)
        await work
        assert line.asked == [asked]


async def test_what_the_request_may_cost_bounds_where_it_goes() -> None:
    line = PacedLine()
    assert await asks(line, "small", max_cost_usd="0.01") is None
    assert line.asked == []


async def test_a_model_that_was_named_is_waited_for() -> None:
    line = PacedLine()
    assert await asks(line, "small", model="here/small") is None
    assert (line.asked, line.waits) == ([], ["pacing"])
