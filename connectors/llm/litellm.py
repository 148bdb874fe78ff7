"""The hundred other providers, through LiteLLM (docs.litellm.ai). Optional: the extra `litellm`.

LiteLLM takes seconds and 190 MB to import and 7 ms of CPU a call, so it is imported once, in the constructor, and used
only for deployments of the dialect `litellm`. Most of what the first call would import is imported there as well: the
client of OpenAI, some 450 modules. It never retries here: retries have one owner.
"""

import asyncio
import importlib.util
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson

from connectors.llm import failures, openai
from connectors.llm.streaming import OpenAIGathering
from domain.errors import MissingExtra, ModelError
from domain.routing.catalogue import Foreign
from domain.routing.model import Deployment, ModelCall, ModelReply, Piece, Price, Tokens

_PRICES = "model_prices_and_context_window_backup.json"
_DEFAULT_MAX_TOKENS = 4_096


def foreign() -> Foreign | None:
    """Finds models in LiteLLM's own list, without importing it; None where it is not installed."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / _PRICES
    return (lambda name: _find(_known(path), name)) if path.is_file() else None


@lru_cache(maxsize=1)
def _known(path: Path) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = orjson.loads(path.read_bytes())
    return {name: entry for name, entry in entries.items() if entry.get("mode") == "chat" and _priced(entry)}


def _priced(entry: dict[str, Any]) -> bool:
    # a model without a known price would run up costs that nobody sees
    return all(isinstance(entry.get(f"{side}_cost_per_token"), int | float) for side in ("input", "output"))


def _find(known: dict[str, dict[str, Any]], name: str) -> Deployment | None:
    provider, _, model = name.partition("/")
    entry = known.get(name)
    if entry is None:
        bare = known.get(model, {})
        entry = bare if str(bare.get("litellm_provider", "")).startswith(provider) and provider else None
    if entry is None:
        return None
    most = entry.get("max_output_tokens")
    return Deployment(
        name=name,
        provider=provider,
        model=name,
        dialect="litellm",
        base_url="",
        price=_price(entry),
        structured="json_schema" if entry.get("supports_response_schema") else "none",
        context_tokens=entry.get("max_input_tokens") or 128_000,
        max_output_tokens=min(most, _DEFAULT_MAX_TOKENS) if isinstance(most, int) and most > 0 else _DEFAULT_MAX_TOKENS,
    )


def _price(entry: dict[str, Any]) -> Price:
    def million(word: str) -> Decimal | None:
        value = entry.get(word)
        return Decimal(str(value)).scaleb(6) if isinstance(value, int | float) else None

    return Price(
        f"litellm-{version('litellm')}",
        million("input_cost_per_token") or Decimal(0),
        million("output_cost_per_token") or Decimal(0),
        cached_input=million("cache_read_input_token_cost"),
        reasoning=million("output_cost_per_reasoning_token"),
        cache_write=million("cache_creation_input_token_cost"),
    )


class LiteLLMModel:
    """Implements Model. The constructor imports LiteLLM; it raises MissingExtra where that is not installed."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        # without it the import waits for the network
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
        try:
            import litellm
            import openai.resources.chat.completions  # noqa: F401 - otherwise imported by the first call, in the loop
        except ImportError as error:
            raise MissingExtra("a model of the dialect litellm", "litellm") from error
        litellm.telemetry = False
        litellm.suppress_debug_info = True
        litellm.drop_params = True
        self._litellm: ModuleType = litellm
        self._clock = clock

    async def call(self, call: ModelCall) -> ModelReply:
        """Raises ModelError, and nothing else whatever the provider or LiteLLM does."""
        try:
            async with asyncio.timeout(call.timeout_s):
                response = await self._litellm.acompletion(**_arguments(call))
                body = response.model_dump() if call.say is None else await _gathered(response, call.say)
        except self._litellm.exceptions.ContentPolicyViolationError:
            return ModelReply("", "content_filter", Tokens(), refusal="the provider's filter stopped the prompt")
        except Exception as error:  # LiteLLM lets any exception of a hundred providers through
            raise self._failure(call, error) from error
        try:
            return openai.reply(call, body, {}, None)
        except openai.NoAnswer as error:
            raise failures.unreadable(call.deployment, str(error), {}) from error

    async def close(self) -> None:
        await self._litellm.close_litellm_async_clients()

    def _failure(self, call: ModelCall, error: Exception) -> ModelError:
        errors = self._litellm.exceptions
        if isinstance(error, TimeoutError | errors.Timeout):
            return failures.of_exception(call.deployment, TimeoutError(), call.timeout_s)
        status = getattr(error, "status_code", None)
        if isinstance(error, errors.APIConnectionError) or not isinstance(status, int):
            # LiteLLM calls much a connection error, so that the request may have been sent
            where = f"{call.deployment.provider} for {call.deployment.model}"
            return failures.failure(f"LiteLLM could not call {where}: {type(error).__name__}", "error")
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
        said = {"message": str(getattr(error, "message", ""))}
        return failures.of_status(call.deployment, status, headers, said, self._clock())


async def _gathered(chunks: AsyncIterator[Any], say: Callable[[Piece], None]) -> dict[str, Any]:
    """The body a call without streaming would have had; what comes is said. Raises Cut."""
    gathering = OpenAIGathering()
    async for chunk in chunks:
        for piece in gathering.add(chunk.model_dump()):
            say(piece)
    return gathering.whole()


def _arguments(call: ModelCall) -> dict[str, Any]:
    deployment = call.deployment
    arguments = openai.body(call)
    arguments["max_tokens"] = arguments.pop(deployment.max_tokens_field)
    arguments.update(
        timeout=call.timeout_s,
        num_retries=0,
        max_retries=0,
        extra_headers={**deployment.headers, "X-Client-Request-Id": call.request_id},
    )
    if call.say is not None:
        openai.streamed(arguments)
    if deployment.api_key:
        arguments["api_key"] = deployment.api_key
    if deployment.base_url:
        arguments["api_base"] = deployment.base_url
    return arguments
