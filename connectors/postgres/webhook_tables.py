"""The tables of webhooks; see tables.py."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Date, Index, Interval, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from connectors.postgres.rows import Base, key


class WebhookEndpointRow(Base):
    """Where a tenant wants its events."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        Index("webhook_endpoints_newest", "tenant", text("created_at DESC"), text("id DESC")),
        Index("webhook_endpoints_untold", "tenant", postgresql_where=text("untold")),
    )

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    url: Mapped[str]
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    fields: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    description: Mapped[str]
    salt: Mapped[bytes]
    old_salt: Mapped[bytes | None]
    old_until: Mapped[datetime | None]
    enabled: Mapped[bool]
    disabled: Mapped[str | None]
    untold: Mapped[bool] = mapped_column(server_default=text("false"))
    failing_since: Mapped[datetime | None]
    created_at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(server_default=text("'webhook'"))
    bucket: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    sealed: Mapped[bytes | None]
    paused: Mapped[bool] = mapped_column(server_default=text("false"))
    last_success_at: Mapped[datetime | None]
    last_error_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str] = mapped_column(server_default=text("''"))
    given_up: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    redact: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))


class WebhookVersionRow(Base):
    """The version of all endpoints."""

    __tablename__ = "webhook_version"
    __table_args__ = (CheckConstraint("only_row"),)

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    version: Mapped[int] = mapped_column(BigInteger)


class DeliveryQueueRow(Base):
    """A delivery that is not over."""

    __tablename__ = "delivery_queue"
    __table_args__ = (
        Index("delivery_queue_next", "tenant", "endpoint", "next_at"),
        Index("delivery_queue_day", "day"),
    )

    tenant: Mapped[str] = key()
    endpoint: Mapped[str] = key()
    id: Mapped[str] = key()
    day: Mapped[date] = mapped_column(Date)
    tried: Mapped[int] = mapped_column(SmallInteger)
    next_at: Mapped[datetime]
    since: Mapped[datetime] = mapped_column(server_default=text("now()"))


class DeliveryLaneRow(Base):
    """A destination, due when the first of its queue is."""

    __tablename__ = "delivery_lanes"
    __table_args__ = (Index("delivery_lanes_next", "next_at", postgresql_where=text("NOT paused")),)

    tenant: Mapped[str] = key()
    endpoint: Mapped[str] = key()
    next_at: Mapped[datetime]
    paused: Mapped[bool] = mapped_column(server_default=text("false"))
    at_once: Mapped[int] = mapped_column(server_default=text("1"))
    every: Mapped[timedelta] = mapped_column(Interval, server_default=text("'0'"))


class DeliveryRow(Base):
    """What is or was sent, by the day of its event."""

    __tablename__ = "deliveries"
    __table_args__ = (Index("deliveries_newest", "tenant", "endpoint", text("created_at DESC"), text("id DESC")),)

    tenant: Mapped[str] = key()
    endpoint: Mapped[str] = key()
    id: Mapped[str] = key()
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    type: Mapped[str]
    at: Mapped[datetime]
    created_at: Mapped[datetime]
    url: Mapped[str | None]
    body: Mapped[bytes]


class DeliveryAttemptRow(Base):
    """The log."""

    __tablename__ = "delivery_attempts"

    tenant: Mapped[str] = key()
    endpoint: Mapped[str] = key()
    id: Mapped[str] = key()
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    outcome: Mapped[str]
    ms: Mapped[int]
    status: Mapped[int | None]
    request: Mapped[str]
    head: Mapped[str]
    error: Mapped[str]
