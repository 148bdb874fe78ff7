"""What an answer costs: `python -m benchmarks.answers`.

The CPU of a call by each adapter, of judging, mending and asking again; and what valid answers cost where 30 % come
malformed. It starts a stub of a provider, and for the latter the simulated one, within this process. CPU is that of
this process. LiteLLM is measured where it is installed.
"""

import asyncio
import importlib.util
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import count
from statistics import median
from typing import Any

import orjson
import uvloop

from benchmarks.line import Stub
from connectors.llm.direct import DirectModel
from domain.admission.prepare import Preparer
from domain.output import reask
from domain.output.schema import compile as compile_schema
from domain.output.verdict import judge
from domain.ports import Model
from domain.prompting import SHIPPED
from domain.prompting.library import Library
from domain.routing.catalogue import Catalogue
from domain.routing.model import ModelCall, ModelReply, Tokens
from ops.local.provider.malformed import KINDS
from ops.local.provider.server import Provider
from tests.line.memory_line import MemoryLine

CALLS, AT_ONCE = 2_000, 100
REQUESTS = 4_000
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "score": {"type": "integer"}, "summary": {"type": "string"}},
    "required": ["name", "score", "summary"],
    "additionalProperties": False,
}
RIGHT = '{"name":"Ann","score":7,"summary":"a stub answer of a typical small size, some words more"}'
FENCED = f"Here it is:\n```json\n{RIGHT[:-1]},}}\n```"
WRONG = RIGHT.replace("7", '"seven"')
NO_REPAIR = {"syntax": False, "re_asks": 0, "escalate": False}
_ADAPTER = """
price_version: "1"
providers: {{openai: {{base_url: "{url}", dialect: {dialect}, key_env: KEY}}}}
models: [{{provider: openai, model: gpt-4o-mini, price: {{input: 0.15, output: 0.60}}}}]
aliases: {{fast: [openai/gpt-4o-mini], smart: [openai/gpt-4o-mini]}}
"""


def call_of(url: str, dialect: str) -> ModelCall:
    catalogue = Catalogue.load(_ADAPTER.format(url=url, dialect=dialect), {"KEY": "sk-x"})
    messages = [{"role": "user", "content": "Tell me of Ann. " * 20}]
    return ModelCall(catalogue.resolve("fast")[0], messages, SCHEMA, {"max_tokens": 256}, {}, "0" * 32, 30.0)


async def by_adapter(model: Model, call: ModelCall, calls: int) -> float:
    """Microseconds of our CPU a call, many at once: the median of five runs."""

    async def some() -> None:
        for _ in range(calls // AT_ONCE):
            await model.call(call)

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    runs = []
    for _ in range(5):
        began = time.process_time()
        await asyncio.gather(*(some() for _ in range(AT_ONCE)))
        runs.append((time.process_time() - began) / calls * 1e6)
    return median(runs)


def cost(work: Callable[[], Any], rounds: int = 5_000) -> float:
    """Microseconds of CPU: the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(rounds):
            work()
        best = min(best, (time.process_time() - began) / rounds * 1e6)
    return best


def of_judging() -> dict[str, float]:
    schema = compile_schema(SCHEMA)
    verdict = judge(_reply(WRONG), schema, True)
    asked, numbers = [{"role": "user", "content": "Tell me of Ann."}], count()
    assert judge(_reply(RIGHT), schema, True).outcome == judge(_reply(FENCED), schema, True).outcome == "ok"
    assert verdict.outcome == "invalid_output"
    return {
        f"reading an answer of {len(RIGHT)} bytes and checking it against its schema": cost(
            lambda: judge(_reply(RIGHT), schema, True)
        ),
        "… of it reading it": cost(lambda: orjson.loads(RIGHT)),
        "the same of one in prose and a fence with a trailing comma, mended without a call": cost(
            lambda: judge(_reply(FENCED), schema, True)
        ),
        "the same of one with a wrong type": cost(lambda: judge(_reply(WRONG), schema, True)),
        "… and the messages of its re-ask": cost(lambda: reask.messages(asked, WRONG, verdict.problems)),
        "compiling a schema, once a worker": cost(lambda: compile_schema({**SCHEMA, "title": str(next(numbers))}), 200),
    }


def _reply(text: str) -> ModelReply:
    return ModelReply(text, "stop", Tokens(10, 5))


async def valid(repair: dict[str, Any] | None) -> tuple[float, float, Decimal]:
    """The share that ended valid, calls a request, and dollars a thousand valid answers, with 30 % malformed."""
    provider, model, line = Provider(), DirectModel(), MemoryLine()
    url = f"http://127.0.0.1:{await provider.serve('127.0.0.1', 0)}/v1"
    line.preparer = Preparer(Library.load([SHIPPED]), Catalogue.simulated(url), line.preparer.book)
    line.model = model  # type: ignore[assignment]
    provider.control.apply({"malformed": {"share": 0.3, "kinds": [kind for kind in KINDS if kind != "refusal"]}})
    await answered(line, [_request(number, repair) for number in range(REQUESTS)])
    results = line.out("prompt.results")
    good = sum(row["status"] == "completed" for row in results)
    spent = sum((Decimal(row["cost_usd"]) for row in line.out("prompt.usage")), Decimal(0))
    calls = provider.control.counters.calls
    await model.close()
    await provider.close()
    return good / REQUESTS, calls / REQUESTS, spent / good * 1000


async def answered(line: MemoryLine, bodies: Sequence[dict[str, Any]]) -> None:
    await line.intake().handle_batch([line.publish(body) for body in bodies])
    while calls := line.calls():
        infer = await line.infer()
        for start in range(0, len(calls), AT_ONCE):
            await asyncio.gather(*(infer.handle(call) for call in calls[start : start + AT_ONCE]))
        line.pass_time(minutes=2)
        await line.wake().wake_due()


def _request(number: int, repair: dict[str, Any] | None) -> dict[str, Any]:
    text = f"The kettle of order {number} is wonderful, I'm happy"
    body = {"id": f"r{number}", "tenant": "acme", "template": {"name": "sentiment", "variables": {"text": text}}}
    return body if repair is None else {**body, "repair": repair}


async def main() -> None:
    stub = Stub()
    try:
        print("| µs of CPU | |\n| --- | --- |")
        direct = DirectModel()
        print(f"| a call by the direct adapter | {await by_adapter(direct, call_of(stub.url, 'openai'), CALLS):.0f} |")
        await direct.close()
        if importlib.util.find_spec("litellm"):
            from connectors.llm.litellm import LiteLLMModel

            figure = await by_adapter(LiteLLMModel(), call_of(stub.url, "litellm"), CALLS // 10)
            print(f"| a call through LiteLLM | {figure:.0f} |")
    finally:
        stub.process.stop()
    for what, figure in of_judging().items():
        print(f"| {what} | {figure:.1f} |")
    print("\n| 30 % malformed, of 19 kinds | valid | calls a request | $ a thousand valid answers |")
    print("| --- | --- | --- | --- |")
    for name, repair in {"with the repairs of the settings": None, "without any": NO_REPAIR}.items():
        share, calls, dollars = await valid(repair)
        print(f"| {name} | {share:.2%} | {calls:.3f} | {dollars:.5f} |")


if __name__ == "__main__":
    uvloop.run(main())
