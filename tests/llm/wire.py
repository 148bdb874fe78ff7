"""A provider of a few bytes: answers each call with what a test wrote, to the letter, and remembers what was asked."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import orjson

from domain.routing.model import Deployment, ModelCall, Price

PRICE = Price("test", Decimal("0.15"), Decimal("0.60"))
RESET = b"<reset>"
HANG = b"<hang>"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it arrived; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(slots=True)
class Wire:
    """`url` is a base_url; `answers` are used one after the other, the last one for ever."""

    url: str = ""
    answers: Sequence[bytes] = ()
    asked: list[Asked] = field(default_factory=list)
    serving: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self.serve(reader, writer))
        self.serving[task] = writer
        task.add_done_callback(self.serving.pop)

    async def close(self) -> None:
        for writer in self.serving.values():
            writer.close()
        await asyncio.gather(*self.serving)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.asked.append(await _request(reader))
                answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
                if answer == HANG:
                    await reader.read()
                    return
                writer.write(answer.removesuffix(RESET))
                await writer.drain()
                if answer.endswith(RESET):
                    writer.transport.abort()
                    return
                if b"connection: close" in answer:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> Asked:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    return Asked(lines[0].split()[1], headers, orjson.loads(await reader.readexactly(int(headers["content-length"]))))


@asynccontextmanager
async def wire(*answers: bytes) -> AsyncIterator[Wire]:
    """Listens on a free port."""
    served = Wire(answers=answers)
    server = await asyncio.start_server(served.connected, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield served
    finally:
        server.close()
        await served.close()


def http(body: object = b"", status: str = "200 OK", **headers: object) -> bytes:
    """A response; anything but bytes is sent as JSON. `content_length` and others replace what would be right."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    head = {"content-type": "application/json", "content-length": len(data)}
    head |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items() if value is not None)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + data


def completion(text: object = "hi", finish: str = "stop", **message: object) -> dict[str, Any]:
    """A chat completion of OpenAI's dialect."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
    usage = {"prompt_tokens": 31, "completion_tokens": 8, "total_tokens": 39}
    return {"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice], "usage": usage}


def message(*blocks: dict[str, Any], stop: str = "end_turn") -> dict[str, Any]:
    """A message of Anthropic's dialect."""
    usage = {"input_tokens": 31, "output_tokens": 8, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2}
    return {"id": "msg_1", "type": "message", "content": list(blocks), "stop_reason": stop, "usage": usage}


def call(url: str, **changes: Any) -> ModelCall:
    """A call of a deployment at `url`; fields of the deployment or of the call may be changed."""
    deployment = Deployment("acme/m", "acme", "m", "openai", url, PRICE, api_key="sk-test")
    own = {name: value for name, value in changes.items() if name in Deployment.__slots__ and name != "timeout_s"}
    asked = ModelCall(
        replace(deployment, **own), [{"role": "user", "content": "How do I feel?"}], None, {}, {}, "call-1", 5.0
    )
    return replace(asked, **{name: value for name, value in changes.items() if name not in own})
