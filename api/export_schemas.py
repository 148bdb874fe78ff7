"""What an export is asked with."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.redrive_schemas import Moment
from domain.exports.model import FIELDS, Format, Status
from topics.base import RequestId


class ExportOrder(BaseModel):
    """Which results, which fields of them and how. `after` goes on behind the last id that arrived before."""

    model_config = ConfigDict(extra="forbid")

    format: Format = "jsonl"
    since: Moment = "24h"
    until: Moment | None = Field(None, description="The same; excluded. Without it: now.")
    template: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    status: Status | None = None
    fields: Annotated[list[str], Field(min_length=1, max_length=len(FIELDS))] | None = Field(
        None, description=f"In the order wanted; all without it: {', '.join(FIELDS)}."
    )
    after: RequestId | None = None
