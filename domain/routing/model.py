"""A deployment is one way to reach one model; a call is one attempt at it. No I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

Dialect = Literal["openai", "anthropic", "litellm"]


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens, valid under `version`.

    batch_discount: the share (0 to 1) that a provider takes off for calls that it sells at the price of its batches.
    """

    version: str
    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    reasoning: Decimal | None = None
    cache_write: Decimal | None = None
    batch_discount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """`name` is `provider/model`, unique in the catalogue. `api_key` is resolved from the environment by main.

    structured:       how the provider takes a schema: json_schema | json_object | tool | none
    base_url:         up to and without `/chat/completions` or `/messages`
    max_output_tokens: the limit where a request names none; `output_limit` is the most the model allows, 0: the same
    max_tokens_field: what the provider calls the limit; reasoning models of OpenAI have a name of their own
    takes:            content parts besides text (image_url, file); None: not known, the provider says
    omits:            parameters of a request that this model refuses; they are left out
    later_prices:     prices that replace `price`, each from its time on, in their order
    """

    name: str
    provider: str
    model: str
    dialect: Dialect
    base_url: str
    price: Price
    api_key: str | None = field(default=None, repr=False)
    structured: str = "json_schema"
    context_tokens: int = 128_000
    max_output_tokens: int = 4_096
    output_limit: int = 0
    timeout_s: float = 60.0
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    max_tokens_field: str = "max_tokens"
    omits: tuple[str, ...] = ()
    takes: tuple[str, ...] | None = None
    later_prices: tuple[tuple[datetime, Price], ...] = ()

    def price_at(self, at: datetime) -> Price:
        """The price of a call that is sent at `at`."""
        if not self.later_prices:
            return self.price
        return next((price for start, price in reversed(self.later_prices) if start <= at), self.price)


Strategy = Literal["pinned", "cheapest", "fastest", "weighted"]


@dataclass(frozen=True, slots=True)
class Alias:
    """What a request's `model` stands for. `weights` by deployment name, 1 where none is given.

    hedge: the per cent of a deployment's answers within which a call should be answered; who takes longer is given a
    second call beside it. None: nobody is.
    spillover_s: how long a call waits for a deployment that is at its limit before the next one is asked for a token;
    None: as long as it takes.
    """

    deployments: tuple[Deployment, ...]
    strategy: Strategy = "pinned"
    weights: Mapping[str, float] = field(default_factory=dict)
    hedge: int | None = None
    spillover_s: float | None = 5.0


@dataclass(frozen=True, slots=True)
class ToolPiece:
    """A piece of a call of a tool while it is written. Calls are counted from 0; the first piece of one names it."""

    index: int
    arguments: str = ""
    id: str | None = None
    name: str | None = None


Piece = str | ToolPiece
"""Of an answer while it is written: text, or of a call of a tool."""


@dataclass(slots=True)
class ModelCall:
    """One attempt. `request_id` goes out as X-Client-Request-Id; `timeout_s` bounds the whole call.

    say: is given text and calls of tools while they are written, where the adapter can stream; the reply holds all of
    it in any case.
    traceparent: of the work that it is a part of; it is not sent to the provider.
    """

    deployment: Deployment
    messages: list[dict[str, Any]]
    output_schema: dict[str, Any] | None
    parameters: dict[str, Any]
    provider_options: dict[str, Any]
    request_id: str
    timeout_s: float
    say: Callable[[Piece], None] | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """As the provider counted them; `cached_input` and `cache_write` are parts of `input`, `reasoning` of `output`.

    `estimated` where the provider counted nothing and the adapter had to.
    """

    input: int = 0
    output: int = 0
    cached_input: int = 0
    reasoning: int = 0
    cache_write: int = 0
    estimated: bool = False


@dataclass(slots=True)
class ModelReply:
    """What came back with status 200. finish: stop | length | refusal | tool_calls | content_filter.

    `text` is what the model said (for a tool-shaped schema: the tool's arguments as JSON text), `refusal` why not.
    batch_price: the provider says that it sold this call at the price of its batches.
    tool_calls: it calls tools of the caller's; `text` is the list of calls as the provider gave it, as JSON. What was
    said with them is the first of it, a part of the type `text`.
    `headers` are the response's, lower-cased, for pacing.
    """

    text: str
    finish: str
    tokens: Tokens
    provider_request_id: str | None = None
    refusal: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    tool_calls: bool = False
    batch_price: bool = False
