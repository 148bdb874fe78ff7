"""What a webhook's endpoint is made with and changed by."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from domain.webhooks.model import UNSENT, Derived
from topics.records import EventType
from topics.result import PromptResult

EventName = Literal[Derived, EventType]
Url = Annotated[str, Field(min_length=1, max_length=2_048)]
Events = Annotated[
    list[EventName],
    Field(
        max_length=50,
        description="Types to be sent; an empty list is all of them. Nothing sends "
        f"{', '.join(sorted(UNSENT))} yet, since there are no batches: `events_not_sent_yet` of the answer says so.",
    ),
]
RESULT_FIELDS = tuple(PromptResult.model_fields)


def _of_a_result(name: str) -> str:
    if name not in RESULT_FIELDS:
        raise ValueError(f"is no field of a result; they are: {', '.join(RESULT_FIELDS)}")
    return name


ResultField = Annotated[str, AfterValidator(_of_a_result), Field(json_schema_extra={"enum": list(RESULT_FIELDS)})]
Fields = Annotated[
    list[ResultField],
    Field(min_length=1, description="Fields of a result to send beside id, tenant, run and status; null is all."),
]
Description = Annotated[str, Field(max_length=500)]


class NewWebhook(BaseModel):
    """An endpoint to be told of events."""

    model_config = ConfigDict(extra="forbid")

    url: Url
    events: Events = []
    description: Description = ""
    result_fields: Fields | None = Field(default=None, alias="fields")


class WebhookChange(BaseModel):
    """What is left out stays. `enabled: true` also forgets why it was disabled."""

    model_config = ConfigDict(extra="forbid")

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    result_fields: Fields | None = Field(default=None, alias="fields")
    enabled: bool | None = None
