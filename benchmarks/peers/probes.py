"""Four questions that a flow of LLM calls asks of whatever stands before the provider, and what came of them."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from benchmarks.peers.gateways import PRICE, Gateway

SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["positive", "negative", "neutral"]}, "confidence": {"type": "number"}},
    "required": ["label", "confidence"],
    "additionalProperties": False,
}
AT_ONCE = 50
CAP, CAPPED = 20, 200
PATIENCE_S = 60
MAX_TOKENS = 40
QUESTION = "Is order {} on its way? " + "It was sent from the usual place on the usual day. " * 80
"""Long, so that a price by its bytes is near to whatever is thought to be the most it may cost."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status 0 is a broken connection or a time-out."""

    status: int
    content: str | None = None


class Asker:
    """Posts to a gateway, and asks the provider's own counters."""

    def __init__(self, gateway: Gateway, session: aiohttp.ClientSession) -> None:
        self._gateway = gateway
        self._session = session
        self._control = gateway.provider.removesuffix("/v1") + "/control"

    async def told(self, **how: Any) -> None:
        """The provider starts anew, and behaves so."""
        async with self._session.delete(self._control):
            pass
        async with self._session.post(self._control, json=how) as response:
            response.raise_for_status()

    async def bill(self) -> dict[str, Any]:
        async with self._session.get(self._control) as response:
            return dict(await response.json())

    async def ask(self, prompt: str, schema: dict[str, Any] | None = SCHEMA) -> Answer:
        body = {
            "model": self._gateway.model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": MAX_TOKENS,
            **(self._gateway.response_format(schema) if schema else {}),
        }
        try:
            async with self._session.post(self._gateway.chat, json=body, headers=self._gateway.headers) as response:
                said = json.loads(await response.read())
                status = response.status
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return Answer(0)
        return Answer(status, said["choices"][0]["message"]["content"] if status == 200 else None)

    async def ask_all(self, prompts: list[str], schema: dict[str, Any] | None = SCHEMA) -> list[Answer]:
        return list(await asyncio.gather(*(self.ask(prompt, schema) for prompt in prompts)))


async def identical(asker: Asker) -> str:
    await asker.told(latency_ms={"mean": 500})
    answers = await asker.ask_all(["The parcel came on time and whole, thank you."] * AT_ONCE)
    calls = (await asker.bill())["calls"]
    return f"{_done(answers)} answered, {_calls(calls)}{_refused(answers)}"


async def invalid(asker: Asker) -> str:
    await asker.told(malformed={"share": 1.0, "kinds": ["wrong_type"], "until_reasked": True})
    answers = [await asker.ask(f"The parcel came late and broken, order {number}.") for number in range(10)]
    verdicts = Counter(_verdict(answer) for answer in answers)
    calls = (await asker.bill())["calls"]
    return f"{', '.join(f'{count} {verdict}' for verdict, count in verdicts.most_common())}; {_calls(calls)}"


async def capped(asker: Asker) -> str:
    await asker.told(latency_ms={"mean": 100}, requests_per_second=CAP)
    began = time.perf_counter()
    answers = await asker.ask_all([f"Was order {number} delivered in time?" for number in range(CAPPED)])
    seconds = time.perf_counter() - began
    wasted = (await asker.bill())["rate_limited"]
    return f"{_done(answers)} answered, {wasted} wasted 429s, {seconds:.1f} s{_refused(answers)}"


def most_of_one() -> float:
    """US dollars a call of `over_budget` may cost: no text has more tokens than bytes, no answer more than allowed."""
    return len(QUESTION.format(99)) * PRICE[0] + MAX_TOKENS * PRICE[1]


async def over_budget(asker: Asker) -> str:
    await asker.told(latency_ms={"mean": 300})
    answers = await asker.ask_all([QUESTION.format(number) for number in range(10, 10 + AT_ONCE)], None)
    calls = (await asker.bill())["calls"]
    return f"{_calls(calls)}, {_done(answers)} answered{_refused(answers)}"


PROBES: dict[str, tuple[str, Callable[[Asker], Awaitable[str]]]] = {
    "identical": (f"{AT_ONCE} identical requests at once", identical),
    "invalid": ("10 answers that break their schema the first time", invalid),
    "capped": (f"a provider of {CAP} requests/s, {CAPPED} at once", capped),
}
BUDGET = f"a budget for 1.33 calls at the most that one may cost, {AT_ONCE} at once"


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"


def _done(answers: list[Answer]) -> int:
    return sum(answer.status == 200 for answer in answers)


def _refused(answers: list[Answer]) -> str:
    """What the others were told."""
    told = Counter(answer.status for answer in answers if answer.status != 200)
    return "".join(f", {count} told {status}" for status, count in told.most_common())


def _verdict(answer: Answer) -> str:
    if answer.status != 200:
        return f"failed with {answer.status}"
    try:
        found = json.loads(answer.content or "")
        valid = found["label"] in ("positive", "negative", "neutral") and isinstance(found["confidence"], int | float)
    except (ValueError, KeyError, TypeError):
        valid = False
    return "valid" if valid else "passed on broken"
