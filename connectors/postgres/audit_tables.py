"""The table of the audit log; see tables.py."""

from datetime import datetime

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from connectors.postgres.rows import Base, key


class AuditRow(Base):
    """A change, which is never changed itself: triggers refuse it."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("audit_log_of_tenant", "tenant", "at", "id"),
        Index("audit_log_of_all", "at", "id"),
    )

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    at: Mapped[datetime]
    actor: Mapped[str]
    actor_tenant: Mapped[str] = mapped_column(Text(collation="C"))
    key_id: Mapped[str] = mapped_column(Text(collation="C"))
    request_id: Mapped[str]
    address: Mapped[str]
    action: Mapped[str]
    object_type: Mapped[str]
    object_id: Mapped[str]
    before: Mapped[str | None]
    after: Mapped[str | None]
