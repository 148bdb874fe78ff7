"""The tables of the operator's sinks; see tables.py."""

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from connectors.postgres.rows import Base, key

_NONE = text("'{}'")


class SinkRow(Base):
    """What a sink is to do."""

    __tablename__ = "sinks"

    sink: Mapped[str] = key()
    paused_at: Mapped[datetime | None]
    replay: Mapped[int] = mapped_column(server_default=text("0"))
    replay_since: Mapped[datetime | None]
    replay_places: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=_NONE)
    replay_offsets: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=_NONE)
    replayed: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=_NONE)


class SinkMemberRow(Base):
    """What a process of a sink said last."""

    __tablename__ = "sink_members"

    sink: Mapped[str] = key()
    member: Mapped[str] = key()
    state: Mapped[str]
    lag: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    refused: Mapped[int] = mapped_column(BigInteger)
    errors: Mapped[int] = mapped_column(BigInteger)
    oldest_at: Mapped[datetime | None]
    detail: Mapped[str]
    seen_at: Mapped[datetime]


class SinkStreamRow(Base):
    """How far a partition is carried into a stream of a destination that counts its rows."""

    __tablename__ = "sink_streams"

    target: Mapped[str] = key()
    topic: Mapped[str] = key()
    partition: Mapped[int] = mapped_column(primary_key=True)
    stream: Mapped[str]
    born: Mapped[str]
    next_offset: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    refused: Mapped[dict[str, str]] = mapped_column(JSONB)
    updated_at: Mapped[datetime]
