"""A second call beside a slow one: who is given one, who answers, what is billed, and how many there are."""

import asyncio
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from agents.infer.cancelling import listen
from agents.infer.handler import Infer
from connectors.memory.ledger import MemoryLedger
from connectors.memory.model import ScriptedModel, Step, says
from domain.admission.prepare import Preparer
from domain.budgets.model import Budget
from domain.errors import ModelError
from domain.ledger.model import Cancel
from domain.pacing.model import Ask, Heard
from domain.pacing.told import Gauge, Told
from domain.prompting.library import Library
from domain.routing.catalogue import Catalogue
from domain.routing.hedging import HedgeBudget
from domain.routing.model import ModelCall, ModelReply
from domain.schemas.book import Book
from tests.line.memory_line import TEMPLATES, MemoryLine, outcomes, request
from topics.headers import REPLY_TO, STREAMS

CATALOGUE = """
price_version: "1"
providers: {one: {base_url: "http://127.0.0.1:1/v1"}, two: {base_url: "http://127.0.0.1:2/v1"}}
models:
  - {provider: one, model: small, price: {input: 1, output: 2}}
  - {provider: two, model: small, price: {input: 1, output: 2}}
aliases:
  fast: {models: [one/small, two/small], hedge: {after: p95}}
  smart: [one/small, two/small]
"""
P95 = 0.004
NEVER, SLOW, QUICK = 30.0, 0.05, 0.002
UGLY = says({"label": "ugly"})
BROKEN = ModelError("it failed", outcome="error", sent=True, retryable=True, status=500)
INTERACTIVE = {"lane": "interactive", "model": "fast", "cache": "bypass"}


Pause = float | Callable[[], bool]
"""Seconds, or until something has happened."""


class Provider(ScriptedModel):
    """Two providers: what each answers, in order, after which pause. `words` are what it says before, after `silent`.

    `left`: whose calls were left before their answer.
    """

    def __init__(self, one: Pause, two: Pause) -> None:
        super().__init__()
        self.slow = {"one": one, "two": two}
        self.silent: dict[str, Pause] = {}
        self.words: dict[str, str] = {}
        self.answers: dict[str, list[Step]] = {}
        self.called: Callable[[], object] = lambda: None
        self.left: list[str] = []

    async def call(self, call: ModelCall) -> ModelReply:
        self.calls.append(call)
        self.called()
        provider = call.deployment.provider
        steps = self.answers.get(provider)
        step = steps.pop(0) if steps else says({"label": "good"})
        try:
            await passes(self.silent.get(provider, 0.0))
            if call.say is not None and provider in self.words:
                call.say(self.words[provider])
            await passes(self.slow[provider])
        except asyncio.CancelledError:
            self.left.append(provider)
            raise
        if isinstance(step, ModelError):
            raise step
        assert isinstance(step, ModelReply)
        return step

    def both(self) -> bool:
        """Whether both were called."""
        return len({call.deployment.provider for call in self.calls}) == 2


async def passes(pause: Pause) -> None:
    if isinstance(pause, float):
        await asyncio.sleep(pause)
        return
    while not pause():
        await asyncio.sleep(0.001)


class Unmoved(deque[float]):
    """What was measured once; as if everything had become slow in this moment, at every call."""

    def append(self, _: float) -> None:
        pass


class HedgedLine(MemoryLine):
    """`measured`: answers of the first provider that were timed before; `saved`: calls that were made before."""

    def __init__(self, one: Pause = NEVER, two: Pause = QUICK, measured: int = 20, saved: int = 20) -> None:
        super().__init__()
        library, catalogue = Library.load([TEMPLATES]), Catalogue.load(CATALOGUE, {})
        self.preparer = Preparer(library, catalogue, Book(self.schemas.find, self.seconds))
        self.model = self.provider = Provider(one, two)
        self.measured, self.saved = measured, saved

    async def infer(self, *args: Any, **more: Any) -> Infer:
        infer = await super().infer(*args, **more)
        first = self.preparer.catalogue.deployments[0]
        infer._ports.caller.routes._of(first).took.extend([P95] * self.measured)
        infer._answering._hedger._budgets["fast"] = HedgeBudget(self.saved)
        return infer

    async def asks(self, **more: Any) -> dict[str, Any] | None:
        return await self.answer(request(**{**INTERACTIVE, **more}))

    @property
    def asked(self) -> list[str]:
        return [call.deployment.provider for call in self.model.calls]

    @property
    def attempts(self) -> list[tuple[str, str]]:
        """Provider and outcome of each, as the ledger has them."""
        return [(one.provider, one.outcome) for one in self.store.requests["acme", "r1"].tried]

    def won(self, which: str) -> float:
        return self.metrics.value("hedges", won=which)


async def test_L8_the_second_answers_and_the_first_is_left_and_billed_as_unknown() -> None:
    line = HedgedLine()
    result = await line.asks()
    assert result is not None
    assert (result["status"], result["provider"], result["usage"]["attempts"]) == ("completed", "two", 2)
    assert (line.asked, line.provider.left, line.won("second")) == (["one", "two"], ["one"], 1)
    assert line.attempts == [("one", "unknown"), ("two", "ok")]
    assert sorted(outcomes(line)) == ["ok", "unknown"]
    assert line.out("prompt.events") == line.out("prompt.dead-letters") == []


async def test_L8_the_second_is_a_row_before_it_is_sent() -> None:
    line = HedgedLine()
    rows: list[list[tuple[str, str]]] = []
    call = line.provider.call

    async def looks(one: ModelCall) -> ModelReply:
        rows.append(line.attempts)
        return await call(one)

    line.provider.call = looks  # type: ignore[method-assign]
    await line.asks()
    assert rows == [[("one", "started")], [("one", "started"), ("two", "started")]]


async def test_the_first_may_still_be_the_first_to_answer() -> None:
    line = HedgedLine(two=NEVER)
    line.provider.slow["one"] = line.provider.both
    result = await line.asks()
    assert result is not None
    assert (result["provider"], result["usage"]["attempts"], line.provider.left) == ("one", 2, ["two"])
    assert (line.attempts, line.won("first")) == ([("one", "ok"), ("two", "unknown")], 1)
    assert result["timings"]["queued_ms"] == 0


async def test_who_answers_in_time_is_not_doubled() -> None:
    line = HedgedLine(one=0.0)
    assert await line.asks() is not None
    assert (line.asked, line.metrics.value("hedges")) == (["one"], 0)


@pytest.mark.parametrize(
    "more",
    [
        {"lane": "standard"},
        {"lane": "bulk"},
        {"model": "smart"},
        {"model": "one/small"},
        {"on_unknown_outcome": "fail"},
        {"max_cost_usd": "0.009"},  # one call may cost nearly all of it
    ],
    ids=str,
)
async def test_who_is_not_given_a_second_call(more: dict[str, Any]) -> None:
    line = HedgedLine(one=SLOW)
    result = await line.asks(**more)
    assert result is not None
    assert (result["status"], line.asked) == ("completed", ["one"])


@pytest.mark.parametrize("how", [{"measured": 19}, {"saved": 18}], ids=str)
async def test_nobody_is_called_slow_before_it_was_measured_and_nothing_is_spent_that_was_not_saved(how: Any) -> None:
    line = HedgedLine(one=SLOW, **how)
    await line.asks()
    assert line.asked == ["one"]


async def test_L12_the_second_reserves_for_itself_and_is_not_made_above_a_budget() -> None:
    for limit, asked in {"0.010": ["one"], "0.02": ["one", "two"]}.items():
        line = HedgedLine(one=SLOW if asked == ["one"] else NEVER)
        await line.budgets.put(Budget("acme", "all", Decimal(limit), "day"))
        result = await line.asks()
        assert result is not None
        assert (result["status"], line.asked) == ("completed", asked)
        assert len(line.store.holds) == len(asked)
        await line.budgets.fold(100)
        # who was left may have cost anything up to its worst case: that stays held
        assert len(line.store.holds) == len(asked) - 1


async def test_L6_a_worker_without_a_fresh_lease_makes_no_second_call() -> None:
    line = HedgedLine(one=SLOW)
    infer = await line.infer()
    line.provider.called = lambda: setattr(infer._ports.lease, "_sent_at", -60.0)
    await line.answer(request(**INTERACTIVE), infer)
    assert line.asked == ["one"]


async def test_a_second_call_waits_for_no_token_longer_than_for_the_first_answer() -> None:
    line = HedgedLine(one=SLOW)
    infer = await line.infer()
    name = line.preparer.catalogue.deployments[1].name
    full = Heard(limited=True, told=Told(Gauge(20, 0, 20.0)), retry_after=2.0)
    await line.pacer.pace([Ask(name, "other", heard=(full,))])
    result = await line.answer(request(**INTERACTIVE), infer)
    assert result is not None
    assert (result["provider"], line.asked) == ("one", ["one"])


async def test_a_first_that_fails_leaves_the_answer_to_the_second() -> None:
    line = HedgedLine(two=SLOW)
    line.provider.slow["one"] = line.provider.both
    line.provider.answers = {"one": [BROKEN]}
    result = await line.asks()
    assert result is not None
    assert (result["provider"], line.attempts) == ("two", [("one", "error"), ("two", "ok")])


async def test_where_both_fail_it_waits_as_it_would_have() -> None:
    line = HedgedLine(two=SLOW)
    line.provider.slow["one"] = line.provider.both
    line.provider.answers = {"one": [BROKEN], "two": [BROKEN]}
    assert await line.asks() is None
    assert line.attempts == [("one", "error"), ("two", "error")]
    assert [event["data"]["reason"] for event in line.out("prompt.events")] == ["retry"]
    line.pass_time(seconds=60)
    line.saved = 0
    await line.wake().wake_due()
    await (await line.infer("w2")).handle(line.calls("interactive")[0])
    (result,) = line.out("prompt.results")
    assert (result["status"], result["usage"]["attempts"]) == ("completed", 3)
    assert sorted(outcomes(line)) == ["error", "error", "ok"]


@pytest.mark.parametrize("where", ["one", "two", "beside"])
async def test_a_fault_of_ours_on_one_side_does_not_lose_the_other_answer(where: str) -> None:
    line = HedgedLine(one=SLOW if where != "one" else NEVER, two=SLOW)
    infer = await line.infer()
    if where == "beside":
        infer._ports.caller.routes.beside = lambda *_: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    else:
        line.provider.slow[where] = lambda: 1 / 0 if line.provider.both() else False  # type: ignore[return-value]
    result = await line.answer(request(**INTERACTIVE), infer)
    assert result is not None
    assert (result["status"], result["provider"]) == ("completed", "two" if where == "one" else "one")


async def test_an_invalid_answer_is_asked_again_when_the_second_has_none() -> None:
    line = HedgedLine(two=SLOW)
    line.provider.slow["one"] = line.provider.both
    line.provider.answers = {"one": [UGLY], "two": [BROKEN]}
    result = await line.asks()
    assert result is not None
    assert (result["status"], result["provider"], result["usage"]["attempts"]) == ("completed", "one", 3)
    assert line.attempts == [("one", "invalid_output"), ("two", "error"), ("one", "ok")]


async def test_after_the_first_word_there_is_no_second_call() -> None:
    line = HedgedLine(one=SLOW)
    line.provider.words = {"one": "Once"}
    line.provider.answers = {"one": [says("Once upon a time")]}
    result = await _streamed(line)
    assert (result["output"], line.asked) == ("Once upon a time", ["one"])


async def test_a_first_word_ends_the_second_call() -> None:
    line = HedgedLine(one=SLOW, two=NEVER)
    line.provider.silent = {"one": line.provider.both}
    line.provider.words = {"one": "Once"}
    line.provider.answers = {"one": [says("Once upon a time")]}
    result = await _streamed(line)
    assert (result["output"], line.asked, line.provider.left) == ("Once upon a time", ["one", "two"], ["two"])
    assert line.attempts == [("one", "ok"), ("two", "unknown")]


async def _streamed(line: HedgedLine) -> dict[str, Any]:
    body = request(**INTERACTIVE)
    del body["output_schema"]
    await line.intake().handle_batch([line.publish(body, headers=[(REPLY_TO, b"api-7"), (STREAMS, b"1")])])
    await (await line.infer()).handle(line.calls("interactive")[0])
    (result,) = line.out("prompt.results")
    return result


async def test_L11_a_cancelled_run_leaves_both() -> None:
    line = HedgedLine(two=NEVER)
    infer = await line.infer()
    await line.intake().handle_batch([line.publish(request(**INTERACTIVE))])
    work = asyncio.ensure_future(infer.handle(line.calls("interactive")[0]))
    await passes(line.provider.both)
    await MemoryLedger(line.store, line.clock).cancel([Cancel("acme", "r1")])
    await listen(infer._ports.ledger, infer._ports.caller)
    await work
    assert line.attempts == [("one", "unknown"), ("two", "unknown")]
    (result,) = line.out("prompt.results")
    assert (result["error"]["code"], sorted(line.provider.left)) == ("cancelled", ["one", "two"])


async def test_of_many_slow_calls_at_most_one_in_twenty_has_a_second_and_every_call_is_billed() -> None:
    line = HedgedLine(one=SLOW, saved=0)
    infer = await line.infer()
    infer._ports.caller.routes._of(line.preparer.catalogue.deployments[0]).took = Unmoved([P95] * 20)
    for part in range(10):
        await line.intake().handle_batch([line.publish(request(f"r{part}-{n}", **INTERACTIVE)) for n in range(50)])
        await asyncio.gather(*(infer.handle(one) for one in line.calls("interactive")))
    seconds = line.asked.count("two")
    assert {row["status"] for row in line.out("prompt.results")} == {"completed"}
    assert len(line.out("prompt.results")) == line.asked.count("one") == 500
    assert 15 <= seconds <= 25
    # an attempt whose first answered while its row was written is not made, and says so as an error that cost nothing
    known, lost = outcomes(line).count("ok"), outcomes(line).count("unknown")
    assert (known + lost, lost) == (len(line.asked), len(line.provider.left))
    assert sum(Decimal(row["cost_usd"]) for row in line.out("prompt.usage")) == known * Decimal("0.00002")
