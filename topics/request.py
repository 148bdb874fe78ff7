"""PromptRequest: what anyone with Kafka rights publishes, and the body of `POST /v1/analyze`."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from topics.base import Message, Money, RequestId, TenantName, UtcTime, empty_object

Lane = Literal["interactive", "standard", "bulk"]
LANES: tuple[Lane, ...] = ("interactive", "standard", "bulk")
StrictBool = Annotated[bool, Field(strict=True)]
StrictInt = Annotated[int, Field(strict=True)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
TagName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
TagValue = Annotated[str, StringConstraints(max_length=128)]


class ChatMessage(Message):
    """One turn of a conversation; `content` is text or a list of OpenAI content parts (text, image_url, file).

    `tool_calls` are those of an assistant's turn, as OpenAI gives them; a turn of role `tool` answers one of them.
    """

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Annotated[list[dict[str, Any]], Field(fail_fast=True)]
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class TemplateRef(Message):
    """A stored template; the newest version is taken when none is given."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    version: Annotated[int, Field(strict=True, ge=1)] | None = None
    variables: dict[str, Any] = empty_object()


class Parameters(Message):
    """Sampling parameters every provider understands; anything else goes into `provider_options`."""

    temperature: Annotated[float, Field(strict=True, ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] | None = None
    top_p: Share | None = None
    stop: list[str] | None = Field(default=None, max_length=16)
    seed: StrictInt | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None


class Repair(Message):
    """What may be done about an answer that breaks its schema; what is not named is the operator's.

    `syntax`: put punctuation right without a call. `re_asks`: ask again so often, with the places that are wrong.
    `escalate`: then ask the next stronger model of the alias, once.
    """

    syntax: StrictBool | None = None
    re_asks: Annotated[int, Field(strict=True, ge=0, le=5)] | None = None
    escalate: StrictBool | None = None


class PromptRequest(Message):
    """One prompt to answer. Required: `id`, `tenant` and exactly one of `prompt`, `messages`, `template`."""

    id: RequestId
    tenant: TenantName
    prompt: Annotated[str, StringConstraints(min_length=1)] | None = None
    messages: list[ChatMessage] | None = Field(default=None, min_length=1, fail_fast=True)
    template: TemplateRef | None = None
    output_schema: dict[str, Any] | None = None
    model: Annotated[str, StringConstraints(min_length=1, max_length=255)] = "fast"
    parameters: Parameters = Parameters()
    provider_options: dict[str, Any] = empty_object()
    lane: Lane = "standard"
    deadline: UtcTime | None = None
    max_cost_usd: Annotated[Money, Field(ge=0, le=1_000_000, decimal_places=9)] | None = None
    cache: Literal["use", "refresh", "bypass", "semantic"] = "use"
    on_limit: Literal["wait", "reject"] = "wait"
    on_unknown_outcome: Literal["retry", "fail"] = "retry"
    repair: Repair | None = None
    rerun: StrictBool = False
    subject: Annotated[str, StringConstraints(max_length=255)] | None = None
    tags: dict[TagName, TagValue] = empty_object(max_length=10)
    metadata: dict[str, Any] = empty_object()
    callback_url: Annotated[str, StringConstraints(pattern=r"^https?://", max_length=2048)] | None = None
    submitted_at: UtcTime | None = None

    @field_validator("parameters", "provider_options", "tags", "metadata", mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        return {} if value is None else value

    @model_validator(mode="after")
    def _exactly_one_prompt(self) -> Self:
        given = (self.prompt is not None) + (self.messages is not None) + (self.template is not None)
        if given != 1:
            raise ValueError(f"give exactly one of prompt, messages, template ({given} were given)")
        return self
