"""The tables of the operator's sinks; see tables.py."""

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, Text, text
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
