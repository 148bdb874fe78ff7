"""What a replay of a sink is asked with."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.redrive_schemas import Moment

Offset = Annotated[int, Field(ge=0, le=2**62, strict=True)]


class SinkReplay(BaseModel):
    """Where to begin: `since`, for all partitions, or `offsets`, for those that it names. One of the two."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = None
    offsets: dict[str, Offset] | None = Field(
        None, min_length=1, max_length=1_000, description="By partition, as `prompt.results/3`."
    )
