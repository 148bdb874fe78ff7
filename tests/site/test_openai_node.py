"""OpenAI's client for Node against the compatible route: the program of docs/openai.md as it stands, and what it says
of streams, tools, schemas and errors. tests/api/test_openai.py asks the same of the client for Python.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from domain.ledger.results import Ending, failed, rejected
from domain.ports import Chunk
from domain.routing.model import Piece, ToolPiece
from tests.api.door import Door, completed
from tests.api.served import served
from tests.api.test_openai import CALLS
from tests.npm import installed
from topics.headers import REPLY_TO
from topics.table import REQUESTS

pytestmark = pytest.mark.timeout(180)
HERE = Path(__file__).parent / "openai"
PAGE = (HERE.parents[2] / "docs" / "openai.md").read_text()
KEY = "sp_live_…"
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def modules() -> Path:
    return installed(HERE, "openai")


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with served() as door:
        yield door


async def run(door: Door, program: Path, *words: str) -> str:
    """What it printed."""
    address = {"BASE_URL": f"{door.client.base_url}/openai/v1", "KEY": door.issued.secret}
    node = await asyncio.create_subprocess_exec(
        "node", program, *words, env=os.environ | address, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    said, complained = await node.communicate()
    assert node.returncode == 0, complained.decode()
    return said.decode()


async def step(door: Door, modules: Path, name: str) -> Any:
    program = Path(shutil.copy(HERE / "steps.mjs", modules))
    return json.loads(await run(door, program, name))


async def streamed(door: Door, modules: Path, name: str, pieces: list[tuple[int, Piece]]) -> Any:
    """What the step was given when these pieces came before the end."""
    door.line.answering.clear()
    asking = asyncio.create_task(step(door, modules, name))
    while not door.line.claims and not asking.done():
        await asyncio.sleep(0.01)
    instance = dict(door.broker.log[REQUESTS][0].headers)[REPLY_TO].decode()
    await door.chunks.send([Chunk(instance, "acme", "a", at, said) for at, said in pieces])
    await asyncio.sleep(0.05)
    door.line.answering.set()
    return await asking


async def test_the_program_of_the_page_prints_the_answer(door: Door, modules: Path) -> None:
    found = re.search(r"```js\n(.+?)```", PAGE, re.DOTALL)
    assert found
    assert ADDRESS in found[1]
    assert KEY in found[1]
    text = found[1].replace(ADDRESS, str(door.client.base_url)).replace(KEY, door.issued.secret)
    program = modules / "page.mjs"
    program.write_text(text)
    assert await run(door, program) == "On its way.\n"


async def test_models_are_listed(door: Door, modules: Path) -> None:
    assert {"fast", "smart", "simulated/small"} <= set(await step(door, modules, "models"))


async def test_a_model_is_read_by_its_name_with_a_slash(door: Door, modules: Path) -> None:
    assert await step(door, modules, "model") == "simulated/small"


async def test_a_whole_answer(door: Door, modules: Path) -> None:
    assert await step(door, modules, "whole") == ["a", "chat.completion", "stop", "On its way."]


async def test_an_answer_that_is_parsed_by_its_schema(door: Door, modules: Path) -> None:
    door.line.endings["a"] = completed({"label": "negative"})
    assert await step(door, modules, "parsed") == {"label": "negative"}
    assert door.produced()[0]["output_schema"]["required"] == ["label"]


async def test_text_is_streamed_as_it_comes(door: Door, modules: Path) -> None:
    door.line.endings["a"] = completed("One two three.")
    assert await streamed(door, modules, "text", [(0, "One "), (4, "two ")]) == ["One ", "two ", "three."]


async def test_calls_of_tools_are_streamed_piece_by_piece(door: Door, modules: Path) -> None:
    door.line.endings["a"] = completed(orjson.dumps(CALLS).decode())
    pieces = [
        (0, ToolPiece(0, "", "call_1", "track")),
        (1, ToolPiece(0, '{"n":')),
        (7, ToolPiece(0, " 7}")),
    ]
    found = await streamed(door, modules, "tools", list(pieces))
    assert [one["index"] for one in found] == [0, 0, 0]
    assert [one.get("id") for one in found] == ["call_1", None, None]
    assert "".join(one["function"].get("arguments") or "" for one in found) == '{"n": 7}'


@pytest.mark.parametrize(
    ("ending", "raised"),
    [
        (rejected("rate_limited", "too fast"), ["RateLimitError", 429, "rate_limit_exceeded"]),
        (rejected("content_blocked", "no"), ["BadRequestError", 400, "content_filter"]),
        (failed("provider_error", "500"), ["InternalServerError", 502, "provider_error"]),
    ],
    ids=["limit", "content", "provider"],
)
async def test_what_fails_is_the_clients_own_exception(
    door: Door, modules: Path, ending: Ending, raised: list[str | int]
) -> None:
    door.line.endings["a"] = ending
    assert await step(door, modules, "error") == raised
