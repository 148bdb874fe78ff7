"""Requests on the line that name their schema."""

from datetime import UTC, datetime
from typing import Any

from connectors.memory.model import says
from domain.output.schema import compile as compile_schema
from domain.schemas.model import SchemaVersion
from tests.line.memory_line import LABEL, MemoryLine, request, the_end

WIDER: dict[str, Any] = {**LABEL, "properties": {"label": {"enum": ["good", "bad", "none"]}}}
NAMED = {"name": "verdict", "version": 1}


async def add(line: MemoryLine, version: int, schema: dict[str, Any], tenant: str = "acme") -> None:
    digest = compile_schema(schema).digest
    at = datetime(2026, 1, 1, tzinfo=UTC)
    await line.schemas.add(SchemaVersion(tenant, "verdict", version, schema, digest, at), "BACKWARD")


async def test_the_answer_is_checked_against_the_version_and_stamped_with_it() -> None:
    line = MemoryLine([says({"label": "none"}), says({"label": "bad"})])
    await add(line, 1, LABEL)
    result = await line.answer(request(output_schema=NAMED)) or {}
    assert (result["output"], result["output_schema"], result["usage"]["attempts"]) == ({"label": "bad"}, NAMED, 2)


async def test_without_a_version_the_newest_is_taken() -> None:
    line = MemoryLine([says({"label": "none"})])
    await add(line, 1, LABEL)
    await add(line, 2, WIDER)
    result = await line.answer(request(output_schema={"name": "verdict"})) or {}
    assert (result["output"], result["output_schema"]["version"]) == ({"label": "none"}, 2)


async def test_an_unknown_name_is_rejected_without_a_call() -> None:
    line = MemoryLine()
    await add(line, 1, LABEL, tenant="globex")
    await line.answer(request(output_schema=NAMED))
    assert the_end(line) == ("rejected", "invalid_request", 0)


async def test_versions_share_no_cached_answer() -> None:
    line = MemoryLine()
    await add(line, 1, LABEL)
    await add(line, 2, WIDER)
    for number, version in enumerate((1, 2, 1)):
        await line.answer(request(f"r{number}", output_schema={"name": "verdict", "version": version}))
    assert [row["cached"] for row in line.out("prompt.results")] == [None, None, "exact"]


async def test_a_version_is_looked_up_once_and_the_newest_again_after_a_while() -> None:
    line = MemoryLine()
    await add(line, 1, LABEL)
    for number in range(3):
        await line.answer(request(f"a{number}", output_schema=NAMED))
    assert line.schemas.asked == 1
    for number in range(3):
        await line.answer(request(f"b{number}", output_schema={"name": "verdict"}))
    assert line.schemas.asked == 2
    await add(line, 2, WIDER)
    line.pass_time(seconds=6)
    result = await line.answer(request("c", output_schema={"name": "verdict"})) or {}
    assert (result["output_schema"]["version"], line.schemas.asked) == (2, 3)


async def test_a_request_without_a_named_schema_asks_nothing() -> None:
    line = MemoryLine()
    await line.answer(request())
    assert line.schemas.asked == 0
