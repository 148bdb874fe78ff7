"""Providers."""

from typing import Protocol

from domain.routing.model import ModelCall, ModelReply


class Model(Protocol):
    """Calls a provider once. Raises ModelError; never retries."""

    async def call(self, call: ModelCall) -> ModelReply: ...

    async def close(self) -> None: ...
