"""What a call may cost at most, known before it is made. Pure.

No tokenizer makes more tokens than there are UTF-8 bytes, so the bytes of what is sent bound the input; `max_tokens`
bounds the output. Anything that is not text counts as all that the model can read.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from domain.pricing.cost import NANO
from domain.routing.model import Deployment

FRAME = 64
"""Tokens that a provider puts around a conversation, and `A_MESSAGE` around each of its messages."""
A_MESSAGE = 16
A_SCHEMA = 512
"""What asking for a schema adds to the schema itself: instructions, or the frame of a tool."""


def worst_case(
    deployment: Deployment, messages: Sequence[Mapping[str, Any]], more: Sequence[Any], max_tokens: int, at: datetime
) -> Decimal:
    """US dollars, rounded up to nine decimals. `more` is sent along: the schema, options of the provider."""
    price = deployment.price_at(at)
    read = min(_read(deployment, messages, more), deployment.context_tokens)
    dearest_in = max(price.input, price.cache_write or price.input)
    dearest_out = max(price.output, price.reasoning or price.output)
    return (read * dearest_in + max_tokens * dearest_out).scaleb(-6).quantize(NANO, "ROUND_UP")


def _read(deployment: Deployment, messages: Sequence[Mapping[str, Any]], more: Sequence[Any]) -> int:
    if any(_is_more_than_text(message.get("content")) for message in messages):
        return deployment.context_tokens
    # a schema may be sent twice: as a field, and in words
    added = sum(2 * len(orjson.dumps(one)) + A_SCHEMA for one in more if one)
    return FRAME + sum(len(orjson.dumps(message)) + A_MESSAGE for message in messages) + added


def _is_more_than_text(content: Any) -> bool:
    return isinstance(content, list) and any(part.get("type") != "text" for part in content)
