"""What all tables have in common."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import DateTime, LargeBinary, Numeric, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Python types to PostgreSQL's: text without a length, times with a zone, exact numbers."""

    type_annotation_map = {str: Text(), bytes: LargeBinary(), datetime: DateTime(timezone=True), Decimal: Numeric()}


def key() -> Mapped[str]:
    """Part of a key: compared bytewise, as Python compares."""
    return mapped_column(Text(collation="C"), primary_key=True)
