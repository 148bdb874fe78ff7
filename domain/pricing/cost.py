"""The cost of one attempt: tokens times the price they were sold at."""

from decimal import Decimal

from domain.routing.model import Price, Tokens

NANO = Decimal("0.000000001")
"""Nine decimals: what the ledger and ClickHouse's Decimal(18, 9) store."""


def cost(price: Price, tokens: Tokens, batch: bool = False) -> Decimal:
    """US dollars, exact and then rounded half-even to nine decimals. `batch`: sold at the price of batches.

    Cached, cache-writing and reasoning tokens are parts of their sums, sold at their own price where one is known
    and at the plain one otherwise. A part that exceeds its sum (a provider's miscount) is taken as the whole sum.
    """
    cached = min(tokens.cached_input, tokens.input)
    written = min(tokens.cache_write, tokens.input - cached)
    reasoning = min(tokens.reasoning, tokens.output)
    micros = (tokens.input - cached - written) * price.input + (tokens.output - reasoning) * price.output
    if cached:
        micros += cached * _or(price.cached_input, price.input)
    if written:
        micros += written * _or(price.cache_write, price.input)
    if reasoning:
        micros += reasoning * _or(price.reasoning, price.output)
    if batch and price.batch_discount:
        micros *= 1 - price.batch_discount
    return micros.scaleb(-6).quantize(NANO)


def _or(price: Decimal | None, plain: Decimal) -> Decimal:
    return plain if price is None else price
