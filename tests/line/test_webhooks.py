"""A request's way to the receiver: intake, infer, the queue, the sender."""

import orjson

from agents.notify.queueing import QueueSink
from agents.notify.sender import Sender, SenderPorts
from connectors.memory.webhooks import MemoryDeliveries, MemoryEndpoints, MemoryOutlet
from domain.ports import Item
from domain.webhooks.model import Endpoint
from tests.line.memory_line import MemoryLine, request
from topics.headers import CALLBACK_URL
from topics.table import RESULTS

CALLBACK = "https://callback.example/in?job=1"


async def told(line: MemoryLine, *endpoints: Endpoint) -> MemoryOutlet:
    """What receivers got of everything that was produced to prompt.results."""
    stored, outlet = MemoryEndpoints(), MemoryOutlet()
    for one in endpoints:
        await stored.add(one)
    deliveries = MemoryDeliveries(stored)
    sender = Sender(SenderPorts(stored, deliveries, outlet, line.metrics, b"p" * 32, line.clock, line.seconds), 64)
    records = enumerate(line.broker.log[RESULTS])
    items = [Item(RESULTS, 0, n, line.now, one.key, one.value or b"", one.headers) for n, one in records]
    assert await QueueSink(stored, deliveries, line.clock, sender.nudge).write(items) == []
    await sender.turn()
    await sender.drained()
    return outlet


async def test_a_request_with_a_callback_is_told_there_and_one_without_is_not() -> None:
    line = MemoryLine()
    result = await line.answer(request(callback_url=CALLBACK))
    await line.answer(request("r2", prompt="Another?"))
    [got] = (await told(line)).posted
    assert (got.url, orjson.loads(got.body)["data"]) == (CALLBACK, result)
    headers = [name for one in line.broker.log[RESULTS] for name, _ in one.headers if name == CALLBACK_URL]
    assert len(headers) == 1


async def test_a_rejected_request_calls_back_too() -> None:
    line = MemoryLine()
    await line.answer(request(callback_url=CALLBACK, model="no/such"))
    [got] = (await told(line)).posted
    assert orjson.loads(got.body)["type"] == "request.rejected"


async def test_a_callback_that_must_not_be_called_rejects_its_request() -> None:
    line = MemoryLine()
    result = await line.answer(request(callback_url="http://169.254.169.254/latest"))
    assert result is not None
    assert (result["status"], result["error"]["errors"][0]["path"]) == ("rejected", "/callback_url")
    assert line.model.calls == []


async def test_an_answer_out_of_the_cache_is_a_hit_and_the_first_one_a_miss() -> None:
    line = MemoryLine()
    for id in ("r1", "r2"):
        await line.answer(request(id))
    endpoint = Endpoint("acme", "wh_1", "https://a.example", ("cache.hit", "cache.miss"), b"s", line.now)
    bodies = [orjson.loads(got.body) for got in (await told(line, endpoint)).posted]
    assert [(body["type"], body["data"]["id"]) for body in bodies] == [("cache.miss", "r1"), ("cache.hit", "r2")]
