"""Every curl of the pages is sent to the API as it stands, in memory; none is told that it is wrong."""

import re
import shlex
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.api.door import Door

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md"])
ADDRESS = re.compile(r"^(?:\$API_URL|https?://[^/]+)(?=/)")
NOT_OURS = "docker.com"
MADE_UP = "…"
"""Stands for an id that whoever reads has and this test has not."""

MADE_BY_KEY = re.compile(r"key-[0-9a-f]{32}")
"""The id that an Idempotency-Key makes: another one for another tenant."""


class Call(NamedTuple):
    method: str
    path: str
    body: str | None
    headers: dict[str, str]


def calls(page: Path) -> Iterator[Call]:
    text = re.sub(r"\\\n\s*", "", page.read_text())
    # a command ends where its quotes are closed; what follows it in the shell is not its own
    for found in re.findall(r"^ *(?:\$ )?curl ((?:'[^']*'|\"[^\"]*\"|[^'\"\n#|>])+)", text, re.MULTILINE):
        words = shlex.split(found)
        if NOT_OURS not in found and (paths := [word for word in words if ADDRESS.match(word)]):
            yield _call(words, ADDRESS.sub("", paths[0]))


def _call(words: list[str], path: str) -> Call:
    options = list(pairwise(words))
    [body] = [value for option, value in options if option == "-d"] or [None]
    [method] = [value for option, value in options if option == "-X"] or ["POST" if body else "GET"]
    headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
    return Call(method, path, body, headers)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with Door().opened() as door:
        yield door


TOLD = {page: list(calls(page)) for page in PAGES}


@pytest.mark.parametrize("page", [page for page in PAGES if TOLD[page]], ids=lambda page: page.stem)
async def test_the_api_takes_what_the_page_tells(door: Door, page: Path) -> None:
    """In the order of the page, since one call may need what the one before has made."""
    made = ""
    for call in TOLD[page]:
        headers = {
            name: one for name, one in call.headers.items() if name.lower() not in ("authorization", "x-api-key")
        }
        body = call.body and call.body.replace(MADE_UP, "0")
        answer = await door.client.request(call.method, MADE_BY_KEY.sub(made, call.path), content=body, headers=headers)
        told = answer.json()["code"] if "problem" in answer.headers["content-type"] else None
        assert told in fine(call), (call.path, answer.text)
        made = answer.json()["id"] if "Idempotency-Key" in call.headers else made


def fine(call: Call) -> set[str | None]:
    """What it may be told: no problem, or that a name is made up, or that it is for operators."""
    if MADE_UP in call.path:
        return {None, "not_found"}
    return {"forbidden"} if call.path.startswith("/v1/sources") else {None, "not_finished"}


def test_there_are_pages_that_tell_of_curl() -> None:
    assert sum(len(found) for found in TOLD.values()) > 20
