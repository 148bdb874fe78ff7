"""The direct adapter against the simulated provider: every kind of malformed answer, in both dialects."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from connectors.llm.direct import DirectModel
from domain.errors import ModelError
from domain.output import reask
from domain.output.schema import compile as compile_schema
from domain.output.verdict import judge
from domain.prompting import SHIPPED
from domain.prompting.library import Library
from domain.routing.model import ModelCall
from ops.local.provider.malformed import KINDS, WIRE_KINDS
from ops.local.provider.server import Provider
from tests.llm.wire import call

HARMLESS = {"missing_usage"}
OUTCOMES = {"refusal": "refused", "length": "length"} | dict.fromkeys(HARMLESS, "ok")
SENTIMENT = Library.load([SHIPPED]).get("sentiment")
SCHEMA = compile_schema(SENTIMENT.output_schema or {})


@pytest.fixture
async def url() -> AsyncIterator[str]:
    provider = Provider()
    yield f"http://127.0.0.1:{await provider.serve('127.0.0.1', 0)}/v1"
    await provider.close()


@pytest.fixture
async def model() -> AsyncIterator[DirectModel]:
    model = DirectModel()
    yield model
    await model.close()


def asked(url: str, dialect: str, text: str) -> ModelCall:
    messages = SENTIMENT.render({"text": text})
    return call(url, dialect=dialect, messages=messages, output_schema=SCHEMA.schema, parameters=SENTIMENT.parameters)


@pytest.mark.parametrize(
    ("dialect", "structured"),
    [
        ("openai", "json_schema"),
        ("openai", "json_object"),
        ("openai", "tool"),
        ("anthropic", "json_schema"),
        ("anthropic", "tool"),
    ],
)
async def test_every_form_of_asking_gets_a_valid_answer(
    url: str, model: DirectModel, dialect: str, structured: str
) -> None:
    question = asked(url, dialect, "I love this wonderful kettle")
    question = replace(question, deployment=replace(question.deployment, structured=structured))
    reply = await model.call(question)
    verdict = judge(reply, SCHEMA)
    assert (verdict.outcome, verdict.value["label"]) == ("ok", "positive")
    assert reply.tokens.input > 50
    assert not reply.tokens.estimated


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("kind", sorted(set(KINDS) - WIRE_KINDS))
async def test_a_malformed_answer_is_recognised_and_put_right_by_a_re_ask(
    url: str, model: DirectModel, dialect: str, kind: str
) -> None:
    question = asked(url, dialect, f"I love this wonderful kettle [[simulate: {kind}]]")
    reply = await model.call(question)
    verdict = judge(reply, SCHEMA)
    assert verdict.outcome == OUTCOMES.get(kind, "invalid_output")
    assert reply.tokens.estimated is (kind == "missing_usage")
    again = replace(question, messages=reask.messages(question.messages, reply.text, verdict.problems))
    assert judge(await model.call(again), SCHEMA).outcome == "ok"


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("kind", sorted(WIRE_KINDS))
async def test_a_broken_body_is_put_right_by_calling_again(
    url: str, model: DirectModel, dialect: str, kind: str
) -> None:
    question = asked(url, dialect, f"I love this wonderful kettle [[simulate: {kind}]]")
    with pytest.raises(ModelError) as caught:
        await model.call(question)
    assert (caught.value.outcome, caught.value.sent, caught.value.retryable) == ("error", True, True)
    assert judge(await model.call(question), SCHEMA).outcome == "ok"
