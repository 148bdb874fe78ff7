"""The adapter for each deployment, by its dialect."""

from connectors.llm.direct import DirectModel
from connectors.llm.litellm import LiteLLMModel
from domain.errors import ModelError
from domain.routing.model import ModelCall, ModelReply


class RoutedModel:
    """Implements Model. LiteLLM is imported here and now where it is needed, never at the first call.

    Raises MissingExtra where it is needed and not installed.
    """

    def __init__(self, needs_litellm: bool = False) -> None:
        self._direct = DirectModel()
        self._litellm = LiteLLMModel() if needs_litellm else None

    async def call(self, call: ModelCall) -> ModelReply:
        if call.deployment.dialect != "litellm":
            return await self._direct.call(call)
        if self._litellm is None:
            message = f"{call.deployment.name} needs LiteLLM, which this process was started without; restart it"
            raise ModelError(message, outcome="error", sent=False, retryable=False)
        return await self._litellm.call(call)

    async def close(self) -> None:
        await self._direct.close()
        if self._litellm is not None:
            await self._litellm.close()
