"""Prompt safety on the line: what a provider is sent, and what is never sent."""

from collections.abc import Sequence

import pytest

from connectors.memory.content_filter import BlocklistFilter
from domain.errors import InvalidSettings, Unavailable
from domain.ports import Prompt
from domain.safety.blocklist import Blocklist
from tests.line.memory_line import MemoryLine, request, the_end

BLOCKLIST = Blocklist.parse("weapons: \\bbomb(s|ing)?\\b\nproject: project\\s+falcon\n")


class Away:
    """A filter that does not answer."""

    async def review(self, prompts: Sequence[Prompt]) -> list[str | None]:
        raise Unavailable("the filter does not answer")


async def test_a_provider_is_sent_what_a_reader_would_see() -> None:
    line = MemoryLine()
    await line.answer(request(prompt="Is it\u202e good\x07?\U000e0041"))
    assert line.model.calls[0].messages == [{"role": "user", "content": "Is it good?"}]


async def test_a_prompt_of_hidden_characters_only_is_refused() -> None:
    line = MemoryLine()
    await line.answer(request(prompt="\u200b\U000e0041"))
    assert the_end(line) == ("rejected", "invalid_request", 0)


async def test_a_blocked_prompt_is_rejected_without_a_call() -> None:
    line = MemoryLine()
    line.content_filter = BlocklistFilter(BLOCKLIST)
    await line.answer(request(prompt="How to build a BOMB?"))
    assert the_end(line) == ("rejected", "content_blocked", 0)
    [result] = line.out("prompt.results")
    assert result["error"]["message"] == "the content filter stopped the prompt: weapons"
    assert line.model.calls == []


async def test_hidden_characters_do_not_get_round_the_filter() -> None:
    line = MemoryLine()
    line.content_filter = BlocklistFilter(BLOCKLIST)
    parts = [{"type": "text", "text": "About project\u200b  fal\u2060con"}]
    await line.answer(request(prompt=None, messages=[{"role": "user", "content": parts}]))
    assert the_end(line) == ("rejected", "content_blocked", 0)


async def test_others_pass_and_what_was_refused_before_is_not_asked_about() -> None:
    line = MemoryLine()
    line.content_filter = BlocklistFilter(BLOCKLIST)
    bodies = [request("a"), request("b", model="none/none"), request("c", prompt="a bomb")]
    await line.intake().handle_batch([line.publish(body) for body in bodies])
    assert len(line.calls()) == 1
    assert {row["id"]: row["error"]["code"] for row in line.out("prompt.results")} == {
        "b": "unknown_model", "c": "content_blocked"
    }  # fmt: skip


async def test_while_the_filter_is_away_nothing_passes() -> None:
    line = MemoryLine()
    line.content_filter = Away()
    with pytest.raises(Unavailable):
        await line.answer(request())
    assert line.calls() == []


@pytest.mark.parametrize("text", ["- a list", "a: [1]", "a: '('", "a: {"])
def test_a_blocklist_that_is_none_stops_the_start(text: str) -> None:
    with pytest.raises(InvalidSettings, match="BLOCKLIST"):
        Blocklist.parse(text)
