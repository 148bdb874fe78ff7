"""Content parts on the line."""

from tests.line.memory_line import MemoryLine, request, the_end

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
FILE = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}


async def test_parts_reach_the_model_as_they_are() -> None:
    line = MemoryLine()
    messages = [{"role": "user", "content": [{"type": "text", "text": "Is it good?"}, IMAGE, FILE]}]
    await line.answer(request(prompt=None, messages=messages))
    assert line.model.calls[0].messages == messages


async def test_a_reference_that_nobody_reads_is_rejected_without_a_call() -> None:
    line = MemoryLine()
    part = {"type": "file", "file": {"file_data": "s3://bucket/contract.pdf"}}
    await line.answer(request(prompt=None, messages=[{"role": "user", "content": [part]}]))
    assert the_end(line) == ("rejected", "invalid_request", 0)
