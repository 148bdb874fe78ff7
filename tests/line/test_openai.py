"""OpenAI's client against real processes: an API and a worker on the engines, the simulated provider behind them."""

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from openai import OpenAI
from pydantic import BaseModel

from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.pool import connect
from domain.accounts import keys
from tests.conftest import Engines
from tests.line.processes import processes, until
from tests.line.test_takeover import free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
ISSUED = keys.issue("acme", "test", b"pepper" * 8, datetime.now(UTC))
HELLO: Any = [{"role": "user", "content": "I love this wonderful kettle, it is great. What do you say to that?"}]


class Label(BaseModel):
    label: Literal["positive", "negative"]


@pytest.fixture
def base_url(engines: Engines, database_url: str, redis_url: str, topic_prefix: str, tmp_path: Path) -> Iterator[str]:
    """An API and one worker of all stages; killed at the end."""
    with processes(engines, database_url, redis_url, topic_prefix, tmp_path) as line:
        asyncio.run(_create_key(database_url))
        port = free_port()
        own = {"STRUCTURED_PROMPT_API_PORT": str(port), "STRUCTURED_PROMPT_METRICS_PORT": str(free_port())}
        with (tmp_path / "api.log").open("wb") as log:
            api = subprocess.Popen([sys.executable, "-m", "cli.main", "api"], env=line.environ | own, stderr=log)
        try:
            line.start("intake,infer,wake", free_port())
            until(lambda: _answers(port), 30, (tmp_path / "api.log").read_text)
            yield f"http://127.0.0.1:{port}"
        finally:
            api.kill()
            api.wait()


def test_an_openai_client_gets_text_streams_and_checked_answers(base_url: str) -> None:
    client = OpenAI(api_key=ISSUED.secret, base_url=f"{base_url}/openai/v1", max_retries=0)
    whole = client.chat.completions.create(model="fast", messages=HELLO)
    text = whole.choices[0].message.content
    assert text
    streamed = client.chat.completions.create(
        model="fast", messages=HELLO, stream=True, stream_options={"include_usage": True},
        extra_body={"structured_prompt": {"cache": "bypass"}},
    )  # fmt: skip
    chunks = list(streamed)
    said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert "".join(said) == text
    # as the provider gave them, 24 characters each, and not as one answer that was there already
    assert len(said) == -(-len(text) // 24) > 1
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    parsed = client.chat.completions.parse(model="fast", messages=HELLO, response_format=Label)
    assert parsed.choices[0].message.parsed == Label(label="positive")
    with client.chat.completions.stream(model="fast", messages=HELLO, response_format=Label) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == Label(label="positive")
    assert _bill(base_url, chunks[0].id)["attempts"] == 1
    _calls_a_tool(client)


def _calls_a_tool(client: OpenAI) -> None:
    """In the provider's pieces, 24 characters each, which are the call that is kept at its end."""
    parameters = {"type": "object", "properties": {name: {"type": "string"} for name in ("kettle", "reason", "mood")}}
    function: Any = {"name": "rate", "parameters": {**parameters, "required": list(parameters["properties"])}}
    chunks = list(
        client.chat.completions.create(
            model="fast", messages=HELLO, stream=True, tools=[{"type": "function", "function": function}],
            tool_choice={"type": "function", "function": {"name": "rate"}},
        )
    )  # fmt: skip
    pieces = [piece for chunk in chunks for piece in chunk.choices[0].delta.tool_calls or ()]
    assert [piece.id for piece in pieces if piece.id] == ["call_simulated"]
    arguments = [piece.function.arguments or "" for piece in pieces if piece.function]
    assert len(arguments) > 2
    assert set(json.loads("".join(arguments))) == {"kettle", "reason", "mood"}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def _bill(base_url: str, id: str) -> dict[str, Any]:
    """The same ledger: an answer to OpenAI's client is a job like any other."""
    request = urllib.request.Request(
        f"{base_url}/v1/jobs/{id}/result", headers={"authorization": f"Bearer {ISSUED.secret}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return dict(json.loads(answer.read())["usage"])


async def _create_key(database_url: str) -> None:
    pool = await connect(database_url, 1)
    try:
        await PostgresAccounts(pool).create_key(ISSUED.key)
    finally:
        await pool.close()


def _answers(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        return answer.status == 200
    return False
