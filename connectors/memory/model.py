"""A model that follows a script: the in-memory twin of a provider."""

import asyncio
from collections.abc import Callable, Iterable

import orjson

from domain.errors import ModelError
from domain.routing.model import ModelCall, ModelReply, Tokens

Step = ModelReply | ModelError | Callable[[ModelCall], ModelReply]


def says(answer: object, *, finish: str = "stop", tokens: Tokens = Tokens(10, 5)) -> ModelReply:  # noqa: B008 - frozen
    """A reply: text as it is, anything else as JSON."""
    text = answer if isinstance(answer, str) else orjson.dumps(answer).decode()
    return ModelReply(text, finish, tokens)


class ScriptedModel:
    """Implements Model. Each call takes the next step of the script; when it is used up, `then` answers.

    calls: what was asked, in order. `hold()` makes calls wait until `let_go()`; `in_flight` counts those that do.
    """

    def __init__(self, script: Iterable[Step] = (), then: Step | None = None) -> None:
        self._script = list(script)
        self._then = then if then is not None else says("ok")
        self._open = asyncio.Event()
        self._open.set()
        self.calls: list[ModelCall] = []
        self.in_flight = 0
        self.closed = False

    def hold(self) -> None:
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    async def call(self, call: ModelCall) -> ModelReply:
        """Raises the ModelError that the script says, or a time-out while it holds longer than `call.timeout_s`."""
        self.calls.append(call)
        step = self._script.pop(0) if self._script else self._then
        await self._wait(call)
        if isinstance(step, ModelError):
            raise step
        return step if isinstance(step, ModelReply) else step(call)

    async def _wait(self, call: ModelCall) -> None:
        self.in_flight += 1
        try:
            async with asyncio.timeout(call.timeout_s):
                await self._open.wait()
        except TimeoutError as error:
            raise ModelError("the script held the call", outcome="timeout", sent=True, retryable=True) from error
        finally:
            self.in_flight -= 1

    async def close(self) -> None:
        self.closed = True
