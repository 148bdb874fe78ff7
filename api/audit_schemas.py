"""What the audit log is asked with."""

from pydantic import BaseModel, Field

from api.redrive_schemas import Moment

EVERY = "*"


class AuditFilter(BaseModel):
    """The query of a listing."""

    tenant: str | None = Field(
        None, max_length=64, description="For operators: of another tenant; `*` for all of them and the service itself."
    )
    action: str | None = Field(None, max_length=64, description="Only this action, as `budget.put`.")
    type: str | None = Field(None, max_length=64, description="Only objects of this type, as `budget`.")
    id: str | None = Field(None, max_length=255, description="Only the object with this id or name.")
    key_id: str | None = Field(None, max_length=64, description="Only what was done with this key, by its public id.")
    since: Moment | None = None
    until: Moment | None = Field(None, description="The same; excluded.")
    limit: int = Field(50, ge=1, le=200, description="Rows of a page.")
    cursor: str | None = Field(None, max_length=1024, description="`next_cursor` of the page before.")
