"""A provider fails: the next deployment of the alias answers, the fleet knows, and operators are told."""

import asyncio
from collections.abc import Sequence
from typing import Any

from structlog.testing import capture_logs

from agents.infer.handler import Infer
from agents.infer.watching import Watch
from connectors.memory.broker import MemoryProducer
from connectors.memory.health import MemoryHealthBoard
from connectors.memory.model import says
from domain.errors import ModelError, Unavailable
from domain.routing.health import Report
from domain.routing.model import ModelCall, ModelReply
from tests.line.memory_line import MemoryLine, outcomes, request
from topics.records import LifecycleEvent

GOOD = says({"label": "good"})


def error(**how: Any) -> ModelError:
    return ModelError("it failed", **{"outcome": "error", "sent": True, "retryable": True, "status": 500, **how})


def down(*models: str, **how: Any) -> Any:
    """A provider of which these models fail."""

    def answer(call: ModelCall) -> ModelReply:
        if call.deployment.model in models:
            raise error(**how)
        return GOOD

    return answer


class Away(MemoryHealthBoard):
    """Redis does not answer."""

    async def tell(self, worker: str, reports: Sequence[Report]) -> None:
        raise Unavailable("Redis is away")


class Fleet:
    """Workers that share a board, as those of production share Redis."""

    def __init__(self, line: MemoryLine) -> None:
        self.line, self.board = line, MemoryHealthBoard(line.seconds)

    async def worker(self, name: str) -> tuple[Infer, Watch]:
        infer = await self.line.infer(name)
        routes = infer._ports.caller.routes
        routes._clock = self.line.seconds
        producer = MemoryProducer(self.line.broker)
        return infer, Watch(routes, self.board, producer, self.line.metrics, name, self.line.seconds)


def models(line: MemoryLine) -> list[str]:
    return [call.deployment.model for call in line.model.calls]


async def test_the_next_deployment_answers_in_the_same_run() -> None:
    line = MemoryLine([error()])
    result = await line.answer(request(model="careful"))
    assert result is not None
    assert (result["status"], result["model"], result["usage"]["attempts"]) == ("completed", "large", 2)
    assert (models(line), outcomes(line)) == (["small", "large"], ["error", "ok"])
    assert line.metrics.value("failovers", provider="simulated", model="small") == 1
    assert line.out("prompt.events") == []


async def test_where_no_other_is_left_it_waits_as_before() -> None:
    line = MemoryLine([error(), error()])
    assert await line.answer(request(model="careful")) is None
    assert [event["data"]["reason"] for event in line.out("prompt.events")] == ["retry"]


async def test_L9_fail_moves_only_after_what_was_certainly_not_worked_on() -> None:
    refused = error(sent=False, status=None, outcome="refused_connection")
    line = MemoryLine([refused])
    result = await line.answer(request(model="careful", on_unknown_outcome="fail"))
    assert result is not None
    assert (result["status"], models(line)) == ("completed", ["small", "large"])
    line = MemoryLine([error(status=None, outcome="timeout")])
    result = await line.answer(request(model="careful", on_unknown_outcome="fail"))
    assert result is not None
    assert (result["error"]["code"], models(line)) == ("unknown_outcome", ["small"])


async def test_a_provider_that_is_down_is_not_asked_and_everybody_is_told_once() -> None:
    line = MemoryLine()
    line.model._then = down("small")
    fleet = Fleet(line)
    first, watch = await fleet.worker("w1")
    second, other = await fleet.worker("w2")
    for n in range(4):
        await line.answer(request(f"a{n}", model="careful", cache="bypass"), first)
    with capture_logs() as written:
        await watch.turn(line.seconds())
    [told] = written  # with what the calls said, but none of their words
    assert (told["event"], told["deployment"]) == ("provider_degraded", "simulated/small")
    assert told["last_failure"] == "error, status 500"
    other_routes = second._ports.caller.routes
    other_routes.sent(line.preparer.catalogue.deployments[0])
    await other.turn(line.seconds())
    asked = len(line.model.calls)
    for n, worker in enumerate((first, second)):
        await line.answer(request(f"b{n}", model="careful", cache="bypass"), worker)
    assert models(line)[asked:] == ["large", "large"]
    (event,) = [LifecycleEvent.model_validate(one) for one in line.out("prompt.events")]
    assert (event.type, event.tenant, event.data["deployment"]) == ("provider.degraded", "", "simulated/small")
    assert line.metrics.value("provider_down", provider="simulated", model="small") == 1


async def test_one_call_tries_it_again_and_all_come_back() -> None:
    line = MemoryLine()
    line.model._then = down("small")
    fleet = Fleet(line)
    first, watch = await fleet.worker("w1")
    for n in range(4):
        await line.answer(request(f"a{n}", model="careful", cache="bypass"), first)
    await watch.turn(line.seconds())
    line.model._then = GOOD
    line.pass_time(seconds=6)
    await watch.turn(line.seconds())
    asked = len(line.model.calls)
    for n in range(2):
        await line.answer(request(f"b{n}", model="careful", cache="bypass"), first)
    await watch.turn(line.seconds())
    assert models(line)[asked:] == ["small", "small"]
    types = [event["type"] for event in line.out("prompt.events")]
    assert types == ["provider.degraded", "provider.recovered"]


async def test_who_brings_it_back_is_right_for_all() -> None:
    line = MemoryLine()
    line.model._then = down("small")
    fleet = Fleet(line)
    workers = [await fleet.worker(name) for name in ("w1", "w2")]
    for worker, watch in workers:
        for n in range(4):
            await line.answer(request(f"{watch._worker}{n}", model="careful", cache="bypass"), worker)
    for _, watch in workers:
        await watch.turn(line.seconds())
    line.model._then = GOOD
    line.pass_time(seconds=6)
    for _, watch in workers:
        await watch.turn(line.seconds())
    await line.answer(request("back", model="careful", cache="bypass"), workers[0][0])
    for _ in range(2):
        for _, watch in workers:
            await watch.turn(line.seconds())
    for n, (worker, _) in enumerate(workers):
        await line.answer(request(f"after{n}", model="careful", cache="bypass"), worker)
    assert models(line)[-3:] == ["small", "small", "small"]
    types = [event["type"] for event in line.out("prompt.events")]
    assert types == ["provider.degraded", "provider.recovered"]


async def test_without_redis_a_worker_sees_for_itself() -> None:
    line = MemoryLine()
    line.model._then = down("small")
    fleet = Fleet(line)
    fleet.board = Away(line.seconds)
    first, watch = await fleet.worker("w1")
    for n in range(4):
        await line.answer(request(f"a{n}", model="careful", cache="bypass"), first)
    asked = len(line.model.calls)
    await line.answer(request("b", model="careful", cache="bypass"), first)
    assert models(line)[asked:] == ["large"]
    line.pass_time(seconds=6)
    await watch.turn(line.seconds())
    await line.answer(request("c", model="careful", cache="bypass"), first)
    assert models(line)[-2:] == ["small", "large"]


async def test_what_finds_no_slot_at_a_hanging_deployment_waits_and_others_are_served() -> None:
    line = MemoryLine()
    worker = await line.infer(slots=4)
    await line.answer(request("a", model="smart"), worker)
    line.model.hold()
    tasks = []
    for n in range(2):
        await line.intake().handle_batch([line.publish(request(f"h{n}", cache="bypass"))])
        tasks += [asyncio.ensure_future(worker.handle(one)) for one in line.calls()]
    while line.model.in_flight < 2:
        await asyncio.sleep(0)
    assert await line.answer(request("late", cache="bypass"), worker) is None
    assert [event["data"]["reason"] for event in line.out("prompt.events")] == ["breaker"]
    line.model.let_go()
    result = await line.answer(request("other", model="smart", cache="bypass"), worker)
    assert result is not None
    assert result["status"] == "completed"
    await asyncio.gather(*tasks)
    line.pass_time(seconds=4)
    await line.wake().wake_due()
    await worker.handle(line.calls()[0])
    assert {row["id"] for row in line.out("prompt.results")} == {"a", "h0", "h1", "late", "other"}
