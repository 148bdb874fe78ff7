"""Twenty ways in which an answer may be malformed, over HTTP from the simulated provider, through the whole line."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from connectors.llm.direct import DirectModel
from domain.admission.prepare import Preparer
from domain.prompting import SHIPPED
from domain.prompting.library import Library
from domain.routing.catalogue import Catalogue
from ops.local.provider.malformed import KINDS, WIRE_KINDS
from ops.local.provider.server import Provider
from tests.line.memory_line import MemoryLine

EACH = 100
MANY = 2_000
MENDED = frozenset({"prose", "fenced", "trailing_comma", "single_quotes", "two_objects"})
TOLD = {"missing_usage": ["ok"], "refusal": ["refused"], "length": ["length", "ok"]}
"""Outcomes of the attempts where they are not those of an answer that is asked for again."""


class Wire:
    """A line in memory whose model is the simulated provider, called over HTTP."""

    def __init__(self, provider: Provider, url: str, model: DirectModel) -> None:
        self.provider = provider
        self.line = MemoryLine()
        self.line.preparer = Preparer(Library.load([SHIPPED]), Catalogue.simulated(url), self.line.preparer.book)
        self.line.model = model  # type: ignore[assignment]

    async def run(self, texts: Sequence[str], model: str = "fast") -> None:
        """Every text through the line, waits included; the id of each is its number."""
        bodies = [
            {
                "id": f"r{number}",
                "tenant": "acme",
                "model": model,
                "template": {"name": "sentiment", "variables": {"text": text}},
            }
            for number, text in enumerate(texts)
        ]
        await self.line.intake().handle_batch([self.line.publish(body) for body in bodies])
        wake = self.line.wake()
        while calls := self.line.calls():
            # a lease does not last over the wait
            infer = await self.line.infer()
            for start in range(0, len(calls), EACH):
                await asyncio.gather(*(infer.handle(call) for call in calls[start : start + EACH]))
            self.line.pass_time(minutes=2)
            await wake.wake_due()

    @property
    def valid(self) -> int:
        return sum(row["status"] == "completed" for row in self.line.out("prompt.results"))

    def attempts(self) -> Counter[tuple[tuple[str, bool], ...]]:
        """How often each sequence of (outcome, repaired) was seen."""
        by_request: dict[str, list[tuple[int, str, bool]]] = {}
        for row in self.line.out("prompt.usage"):
            by_request.setdefault(row["id"], []).append((row["attempt"], row["outcome"], row.get("repaired", False)))
        return Counter(tuple((outcome, mended) for _, outcome, mended in sorted(one)) for one in by_request.values())


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    provider, model = Provider(), DirectModel()
    yield Wire(provider, f"http://127.0.0.1:{await provider.serve('127.0.0.1', 0)}/v1", model)
    await model.close()
    await provider.close()


def expected(kind: str) -> list[str]:
    if kind in TOLD:
        return TOLD[kind]
    if kind in MENDED:
        return ["ok"]
    return ["error" if kind in WIRE_KINDS else "invalid_output", "ok"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_hundred_answers_of_each_kind_end_as_their_kind_does(wire: Wire, kind: str) -> None:
    await wire.run([f"I love this wonderful kettle {n} [[simulate: {kind}]]" for n in range(EACH)])
    assert wire.valid == (0 if kind == "refusal" else EACH)
    ((seen, times),) = wire.attempts().items()
    assert ([outcome for outcome, _ in seen], times) == (expected(kind), EACH)
    assert [mended for _, mended in seen] == [kind in MENDED] + [False] * (len(seen) - 1)
    assert wire.provider.control.counters.calls == EACH * len(seen)


async def mixed(wire: Wire, kinds: Sequence[str], **more: Any) -> tuple[float, float]:
    """The share that ended valid, and the extra calls a request, with 30 % malformed."""
    wire.provider.control.apply({"malformed": {"share": 0.3, "kinds": list(kinds), **more}})
    await wire.run([f"The kettle of order {number} is wonderful, I'm happy" for number in range(MANY)])
    valid, extra = wire.valid / MANY, wire.provider.control.counters.calls / MANY - 1
    print(f"\n{len(kinds)} kinds, 30 % malformed of {MANY}: {valid:.2%} valid, {extra:.3f} extra calls a request")
    return valid, extra


async def test_with_a_third_malformed_nearly_all_end_valid_for_few_extra_calls(wire: Wire) -> None:
    """A refusal is an answer, not a malformed one: it is counted apart."""
    valid, extra = await mixed(wire, [kind for kind in KINDS if kind != "refusal"])
    assert valid >= 0.995
    assert 0.1 < extra <= 0.35


async def test_with_refusals_among_the_kinds_only_they_fail(wire: Wire) -> None:
    valid, extra = await mixed(wire, KINDS)
    ends = Counter((row["error"] or {}).get("code") for row in wire.line.out("prompt.results"))
    assert set(ends) == {None, "refused"}
    assert valid > 0.97
    assert extra <= 0.35
