"""The tables of accounts; see tables.py."""

from datetime import datetime

from sqlalchemy import ARRAY, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from connectors.postgres.rows import Base, key


class TenantRow(Base):
    """A customer."""

    __tablename__ = "tenants"

    name: Mapped[str] = key()
    active: Mapped[bool]
    requests_per_minute: Mapped[int | None]
    burst: Mapped[int | None]
    store_answers: Mapped[bool]
    cache_ttl_s: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    plan: Mapped[str | None] = mapped_column(Text(collation="C"))
    tokens_per_minute: Mapped[int | None]
    token_burst: Mapped[int | None]
    concurrency: Mapped[int | None]


class PlanRow(Base):
    """Limits that tenants share."""

    __tablename__ = "plans"

    name: Mapped[str] = key()
    requests_per_minute: Mapped[int | None]
    burst: Mapped[int | None]
    tokens_per_minute: Mapped[int | None]
    token_burst: Mapped[int | None]
    concurrency: Mapped[int | None]


class ApiKeyRow(Base):
    """A key, of which only the keyed hash is kept."""

    __tablename__ = "api_keys"

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    name: Mapped[str]
    digest: Mapped[bytes] = mapped_column(unique=True)
    hint: Mapped[str]
    created_at: Mapped[datetime]
    requests_per_minute: Mapped[int | None]
    burst: Mapped[int | None]
    revoked_at: Mapped[datetime | None]
    tokens_per_minute: Mapped[int | None]
    token_burst: Mapped[int | None]
    concurrency: Mapped[int | None]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{admin}'"))
