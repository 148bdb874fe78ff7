"""What an export is asked with."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.redrive_schemas import Moment
from domain.exports.model import FIELDS, Format, Status
from topics.base import RequestId

Names = Annotated[list[str], Field(min_length=1, max_length=len(FIELDS))]
ScheduleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_FIELDS = f"In the order wanted; all without it: {', '.join(FIELDS)}."


class ExportOrder(BaseModel):
    """Which results, which fields of them and how. `after` goes on behind the last id that arrived before.

    `to` s3 makes a job of it, whose file lies in the service's bucket.
    """

    model_config = ConfigDict(extra="forbid")

    to: Literal["client", "s3"] = "client"
    format: Format = "jsonl"
    since: Moment = "24h"
    until: Moment | None = Field(None, description="The same; excluded. Without it: now.")
    template: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    status: Status | None = None
    fields: Names | None = Field(None, description=_FIELDS)
    after: RequestId | None = None


class NewSchedule(BaseModel):
    """When to export what. The first run reaches back to `since`."""

    model_config = ConfigDict(extra="forbid")

    name: ScheduleName
    cron: Annotated[str, Field(min_length=9, max_length=100, description="Minute, hour, day, month, day of the week.")]
    time_zone: Annotated[str, Field(max_length=64, description="As `Europe/Berlin`.")] = "UTC"
    format: Format = "jsonl"
    since: Moment | None = Field(None, description="Without it: now.")
    template: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    status: Status | None = None
    fields: Names | None = Field(None, description=_FIELDS)


class SchedulePause(BaseModel):
    """Whether it is to run."""

    model_config = ConfigDict(extra="forbid")

    paused: bool
