"""The tables of named output schemas."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from connectors.postgres.rows import Base, key


class OutputSchemaRow(Base):
    """A version of a named output schema; never changed."""

    __tablename__ = "output_schemas"

    tenant: Mapped[str] = key()
    name: Mapped[str] = key()
    version: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[bytes]
    digest: Mapped[str]
    created_at: Mapped[datetime]


class OutputSchemaNameRow(Base):
    """How the next version of a named output schema must fit."""

    __tablename__ = "output_schema_names"

    tenant: Mapped[str] = key()
    name: Mapped[str] = key()
    compatibility: Mapped[str]
    latest: Mapped[int]
    updated_at: Mapped[datetime]
