"""What a source is made with over HTTP. Its shape only: domain/sources has the rules, which are those of the file."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Secret = Annotated[str, Field(min_length=1, max_length=4_000)]
Text = Annotated[str, Field(max_length=1_000)]


class SourceWebhook(BaseModel):
    """Who signs events with the secret may push them to `/v1/sources/NAME/events`."""

    model_config = ConfigDict(extra="forbid")

    secret: Annotated[Secret, Field(description="`whsec_` and base64; two, with a space, while one is replaced.")]


class SourceRegistry(BaseModel):
    """Where the schemas of a topic's events are."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[Text, Field(description="http(s)://host:port of the schema registry.")]
    auth: Annotated[Secret | None, Field(description="user:password, where it asks.")] = None


class SourceBucket(BaseModel):
    """Objects under a prefix, at AWS unless there is an endpoint."""

    model_config = ConfigDict(extra="forbid")

    name: Text
    prefix: Text = ""
    endpoint: Annotated[Text | None, Field(description="http(s)://host:port of a store that is not AWS.")] = None
    region: Text | None = None
    access_key: Annotated[Secret | None, Field(description="With `secret_key`; without both AWS's usual chain.")] = None
    secret_key: Annotated[Secret | None, Field(description="Encrypted at rest and never shown.")] = None
    every_s: Annotated[float, Field(gt=0, le=86_400, description="Looked at so often.")] = 30.0
    in_order: Annotated[bool, Field(description="Names grow with time: a look begins before the last 1,000 read.")] = (
        False
    )


class NewSource(BaseModel):
    """A topic or a bucket, a webhook, or both, whose events become requests."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    topic: Annotated[Text | None, Field(description="A topic of the cluster, its name as it is.")] = None
    webhook: Annotated[SourceWebhook | None, Field(description="Signed events over HTTP.")] = None
    bucket: SourceBucket | None = None
    format: Annotated[Literal["json", "avro", "protobuf"], Field(description="How a topic's events are written.")] = (
        "json"
    )
    registry: Annotated[SourceRegistry | None, Field(description="Of avro and protobuf.")] = None
    since: Annotated[AwareDatetime | None, Field(description="What was logged before is left alone.")] = None
    request: Annotated[dict[str, Any], Field(description="What is the same for all: fields of a request.")] = {}
    mapped: Annotated[
        dict[str, Any], Field(alias="map", description="What is not: JMESPath expressions, at the places of a request.")
    ] = {}
    output: Annotated[Text | None, Field(description="A topic that the results are copied to.")] = None
