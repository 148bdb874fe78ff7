"""What a redrive is asked with."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from topics.request import StrictBool, TemplateRef

LetterName = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Moment = Annotated[
    str, Field(max_length=40, description="A span back from now (`90s`, `24h`, `7d`) or an RFC 3339 time.")
]
MAX_LETTERS = 1_000
SourceName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]{0,39}$")]


class Filter(BaseModel):
    """The query of a listing."""

    code: str | None = Field(None, max_length=64, description="Only with this code.")
    id: str | None = Field(None, max_length=255, description="Only of this request.")
    source: SourceName | None = None
    since: Moment | None = None
    until: Moment | None = Field(None, description="The same; excluded.")
    redriven: bool | None = Field(None, description="Only those that were redriven, or were not.")
    limit: int = Field(50, ge=1, le=200, description="Rows of a page.")
    cursor: str | None = Field(None, max_length=1024, description="`next_cursor` of the page before.")


class RedriveEdit(BaseModel):
    """What to change on the way. A template without variables takes those of the request, while they are kept."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    output_schema: dict[str, Any] | None = None
    template: TemplateRef | None = None


class RedriveOne(BaseModel):
    """How to redrive one letter. `dry_run` starts nothing and tells what it would cost."""

    model_config = ConfigDict(extra="forbid")

    dry_run: StrictBool = False
    edit: RedriveEdit = RedriveEdit()


class RedriveMany(RedriveOne):
    """Which letters to redrive and how fast. At least one of `letters`, `code`, `id`, `source`, `since` and
    `until` is needed."""

    letters: list[LetterName] | None = Field(default=None, max_length=MAX_LETTERS)
    code: Annotated[str, Field(max_length=64)] | None = None
    id: Annotated[str, Field(max_length=255)] | None = None
    source: SourceName | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_LETTERS, description="The newest so many.")] = MAX_LETTERS
    per_second: Annotated[float, Field(gt=0, le=1_000, description="How many are started a second.")] = 10.0

    @property
    def names_something(self) -> bool:
        named = (self.letters, self.code, self.id, self.source, self.since, self.until)
        return any(value is not None for value in named)
