"""What destinations are made with and changed by."""

from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, SecretStr

from api.redrive_schemas import Moment
from api.webhook_schemas import Description, EventName, Events, Fields, Url
from domain.safety.redaction import KINDS, Kind
from domain.webhooks.kinds import NAME

Redact = Annotated[
    list[Kind], Field(max_length=len(KINDS), description="Personal data and secrets that are replaced in what is sent.")
]


def _bucket_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError("is no name of a bucket: 3 to 63 lower-case letters, digits, hyphens and dots")
    return name


class BucketPlace(BaseModel):
    """A bucket of the tenant's own, at AWS unless there is an endpoint."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, AfterValidator(_bucket_name)]
    region: Annotated[str, Field(pattern="^[a-z0-9-]{2,40}$")] = "us-east-1"
    endpoint: Annotated[Url | None, Field(description="http(s)://host:port of a store that is not AWS.")] = None
    prefix: Annotated[str, Field(pattern="^[A-Za-z0-9._/=-]{0,200}$")] = ""
    access_key_id: Annotated[str, Field(pattern="^[A-Za-z0-9._/+=-]{1,128}$")]
    secret_access_key: Annotated[
        SecretStr | None, Field(description="Encrypted at rest and never shown; left out of a change, it stays.")
    ] = None
    every_seconds: Annotated[int, Field(ge=5, le=3600, description="An object so often, where anything came.")] = 60


class NewDestination(BaseModel):
    """`url` for a webhook, Zapier or Make; `bucket` for S3."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["webhook", "zapier", "make", "s3"]
    url: Url | None = None
    bucket: BucketPlace | None = None
    events: Events = []
    description: Description = ""
    result_fields: Fields | None = Field(default=None, alias="fields")
    redact: Redact = []


class DestinationChange(BaseModel):
    """What is left out stays; the kind always does. `enabled: true` also forgets why it was disabled."""

    model_config = ConfigDict(extra="forbid")

    url: Url | None = None
    bucket: BucketPlace | None = None
    events: Events | None = None
    description: Description | None = None
    result_fields: Fields | None = Field(default=None, alias="fields")
    redact: Redact | None = None
    enabled: bool | None = None


class Redelivery(BaseModel):
    """What failed or was given up since then is sent again; without a time, whatever is kept."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = None


class Hook(BaseModel):
    """As Zapier subscribes (`hookUrl`), and as Make or anybody does (`url`, `target_url`)."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "required": [],
            "anyOf": [{"required": [name]} for name in ("url", "hookUrl", "target_url")],
        },
    )

    url: Annotated[Url, Field(validation_alias=AliasChoices("url", "hookUrl", "target_url"))]
    event: EventName = "request.completed"
    kind: Literal["zapier", "make"] = "zapier"
