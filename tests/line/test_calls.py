"""What a call to a provider is made of, and where it waits."""

from connectors.memory.model import says
from tests.line.memory_line import MemoryLine, request


async def test_templates_render_validate_and_are_named_in_the_result() -> None:
    line = MemoryLine([says({"label": "positive", "confidence": 0.9, "evidence": "fine"})])
    body = {"id": "t1", "tenant": "acme", "template": {"name": "sentiment", "variables": {"text": "All fine."}}}
    result = await line.answer(body)
    assert result is not None
    assert (result["status"], result["template"]["name"]) == ("completed", "sentiment")
    assert line.model.calls[0].output_schema is not None


async def test_the_providers_never_see_the_clients_own_id() -> None:
    line = MemoryLine()
    await line.answer(request("order-981"))
    sent = line.model.calls[0].request_id
    assert "order-981" not in sent
    assert len(sent) == 32


async def test_a_lane_is_a_topic_of_its_own() -> None:
    line = MemoryLine()
    await line.answer(request(lane="bulk"))
    assert len(line.broker.values("prompt.calls.bulk")) == 1
