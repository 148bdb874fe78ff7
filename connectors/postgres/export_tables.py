"""The tables of exports into a bucket; see tables.py."""

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from connectors.postgres.rows import Base, key

_ZERO = text("0")


class ExportJobRow(Base):
    """What was ordered, and how far it is."""

    __tablename__ = "export_jobs"
    __table_args__ = (
        Index("export_jobs_due", "due_at", postgresql_where=text("ended_at IS NULL")),
        Index("export_jobs_newest", "tenant", text("created_at DESC"), text("id DESC")),
        Index("export_jobs_unfinished", "tenant", postgresql_where=text("ended_at IS NULL")),
        Index("export_jobs_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    schedule: Mapped[str | None]
    format: Mapped[str]
    since: Mapped[datetime]
    until: Mapped[datetime]
    template: Mapped[str | None]
    status: Mapped[str | None]
    fields: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    state: Mapped[str]
    detail: Mapped[str]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(server_default=_ZERO)
    tries: Mapped[int] = mapped_column(server_default=_ZERO)
    rows: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    bytes: Mapped[int] = mapped_column(BigInteger, server_default=_ZERO)
    total: Mapped[int | None] = mapped_column(BigInteger)
    after: Mapped[str] = mapped_column(server_default=text("''"))
    key: Mapped[str | None]
    upload: Mapped[str | None]
    parts: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    asked: Mapped[Any] = mapped_column(LargeBinary, nullable=True)


class ExportScheduleRow(Base):
    """When exports are made by themselves."""

    __tablename__ = "export_schedules"
    __table_args__ = (Index("export_schedules_next", "next_at", postgresql_where=text("paused_at IS NULL")),)

    tenant: Mapped[str] = key()
    name: Mapped[str] = key()
    cron: Mapped[str]
    zone: Mapped[str]
    format: Mapped[str]
    template: Mapped[str | None]
    status: Mapped[str | None]
    fields: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime]
    done_until: Mapped[datetime]
    next_at: Mapped[datetime]
    paused_at: Mapped[datetime | None]
    last_job: Mapped[str | None]
