"""The model catalogue as clients see it: names and prices, never addresses or keys."""

from datetime import datetime
from typing import Any

from domain.routing.catalogue import Catalogue
from domain.routing.model import Deployment, Price
from topics import codec
from topics.base import format_money


def listing(catalogue: Catalogue, now: datetime) -> bytes:
    """The body of GET /v1/models, at the prices of now."""
    aliases = {alias: [one.name for one in members] for alias, members in catalogue.aliases.items()}
    items = [_fields(one, aliases, one.price_at(now)) for one in catalogue.deployments]
    return codec.encode({"items": items, "next_cursor": None, "aliases": aliases})


def _fields(one: Deployment, aliases: dict[str, list[str]], price: Price) -> dict[str, Any]:
    return {
        "id": one.name,
        "provider": one.provider,
        "model": one.model,
        "aliases": [alias for alias, members in aliases.items() if one.name in members],
        "context_tokens": one.context_tokens,
        "max_output_tokens": one.max_output_tokens,
        "structured_output": one.structured,
        "takes": None if one.takes is None else ["text", *one.takes],
        "price_usd_per_million_tokens": _price(price),
        "price_version": price.version,
    }


def _price(price: Price) -> dict[str, str | None]:
    amounts = {"input": price.input, "output": price.output, "cached_input": price.cached_input}
    return {name: None if amount is None else format_money(amount) for name, amount in amounts.items()}
