"""The tables of sources: those made over HTTP, and what was read of buckets; see tables.py."""

from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from connectors.postgres.rows import Base, key


class SourceObjectRow(Base):
    """An object that was begun, or is done."""

    __tablename__ = "source_objects"

    source: Mapped[str] = key()
    key: Mapped[str] = key()
    version: Mapped[str]
    rows: Mapped[int] = mapped_column(BigInteger)
    done: Mapped[bool]
    modified_at: Mapped[datetime]


class SourceReaderRow(Base):
    """Who reads a source."""

    __tablename__ = "source_readers"

    source: Mapped[str] = key()
    member: Mapped[str]
    until: Mapped[datetime]


class SourceRow(Base):
    """A source that was put over HTTP."""

    __tablename__ = "sources"

    name: Mapped[str] = key()
    fields: Mapped[str]
    sealed: Mapped[bytes]
    changed_at: Mapped[datetime]
