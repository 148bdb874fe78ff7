"""The table of what checks of answers to other wordings found."""

from datetime import datetime

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from connectors.postgres.rows import Base, key


class SimilarTrustRow(Base):
    """Whether hits of a template may be given."""

    __tablename__ = "similar_trust"

    tenant: Mapped[str] = key()
    template: Mapped[str] = key()
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    checked: Mapped[int]
    wrong: Mapped[int]
    closed: Mapped[bool]
    since: Mapped[int]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
