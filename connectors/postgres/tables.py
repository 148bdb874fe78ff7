"""The tables as SQLAlchemy models: the reference of the schema and what a migration is compared with.

The statements of the hot path are SQL (queries/*.sql). The reasons for the shape stand in the first migration.
"""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from connectors.postgres.account_tables import ApiKeyRow, PlanRow, TenantRow
from connectors.postgres.audit_tables import AuditRow
from connectors.postgres.export_tables import ExportJobRow, ExportScheduleRow
from connectors.postgres.object_tables import SourceObjectRow, SourceReaderRow, SourceRow
from connectors.postgres.rows import Base, key
from connectors.postgres.schema_rows import OutputSchemaNameRow, OutputSchemaRow
from connectors.postgres.similar_rows import SimilarTrustRow
from connectors.postgres.sink_rows import SinkMemberRow, SinkRow, SinkStreamRow
from connectors.postgres.webhook_tables import DeliveryRow, WebhookEndpointRow


class ClaimRow(Base):
    """One request: where it stands, who holds it, where it came from."""

    __tablename__ = "claims"

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    day: Mapped[date] = mapped_column(Date)
    run: Mapped[int]
    epoch: Mapped[int]
    state: Mapped[str]
    lane: Mapped[str]
    worker: Mapped[int | None] = mapped_column(BigInteger)
    dispatches: Mapped[int] = mapped_column(SmallInteger)
    attempts: Mapped[int]
    fail_on_unknown: Mapped[bool]
    cancel_requested: Mapped[bool]
    waited_for_budget: Mapped[bool] = mapped_column(server_default=text("false"))
    body_hash: Mapped[bytes]
    source_topic: Mapped[str]
    source_partition: Mapped[int]
    source_offset: Mapped[int] = mapped_column(BigInteger)
    submitted_at: Mapped[datetime]
    deadline: Mapped[datetime | None]
    claimed_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    emitted_at: Mapped[datetime | None]
    settled_by: Mapped[str | None]
    error_code: Mapped[str | None]
    followed: Mapped[bool] = mapped_column(server_default=text("false"))


class BodyRow(Base):
    """The encoded PromptCall of a run."""

    __tablename__ = "bodies"
    __table_args__ = (Index("bodies_claimed_at", "claimed_at"), {"postgresql_partition_by": "RANGE (day)"})

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    run: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    claimed_at: Mapped[datetime]
    call: Mapped[bytes]


class ResultRow(Base):
    """The encoded PromptResult of a run."""

    __tablename__ = "results"
    __table_args__ = {"postgresql_partition_by": "RANGE (day)"}

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    run: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    state: Mapped[str]
    error_code: Mapped[str | None]
    settled_at: Mapped[datetime]
    result: Mapped[bytes]


class AttemptRow(Base):
    """One call of a provider, recorded before it is sent."""

    __tablename__ = "attempts"
    __table_args__ = {"postgresql_partition_by": "RANGE (day)"}

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    run: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    epoch: Mapped[int]
    provider: Mapped[str] = mapped_column(server_default="")
    model: Mapped[str] = mapped_column(server_default="")
    outcome: Mapped[str]
    cost_usd: Mapped[Decimal | None]
    input_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    record: Mapped[bytes | None]


class WaitingRow(Base):
    """A request that waits, or a delivery that met another worker's lease."""

    __tablename__ = "waiting"
    __table_args__ = (
        Index("waiting_not_before", "not_before", postgresql_where=text("gate IS NULL")),
        Index("waiting_behind", "tenant", "behind", postgresql_where=text("behind IS NOT NULL")),
        Index("waiting_gate", "tenant", "gate", "deadline", "not_before", postgresql_where=text("gate IS NOT NULL")),
    )

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    run: Mapped[int]
    epoch: Mapped[int]
    not_before: Mapped[datetime]
    reason: Mapped[str]
    lane: Mapped[str]
    behind: Mapped[str | None] = mapped_column(Text(collation="C"))
    gate: Mapped[str | None] = mapped_column(Text(collation="C"))
    deadline: Mapped[datetime | None]


class QuestionRow(Base):
    """What is being asked, and the request that asks it for all."""

    __tablename__ = "questions"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    tenant: Mapped[str] = key()
    question: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    id: Mapped[str] = mapped_column(Text(collation="C"))
    asked_at: Mapped[datetime]


class LookoutRow(Base):
    """A request that the sweeper looks at again."""

    __tablename__ = "lookouts"
    __table_args__ = (Index("lookouts_look_at", "look_at"),)

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    look_at: Mapped[datetime]


class CancelRow(Base):
    """A request that somebody wants to end and that is not over yet."""

    __tablename__ = "cancels"
    __table_args__ = (
        Index("cancels_look_at", "look_at"),
        Index("cancels_worker", "worker", postgresql_where=text("worker IS NOT NULL")),
    )

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    run: Mapped[int]
    worker: Mapped[int | None] = mapped_column(BigInteger)
    asked_at: Mapped[datetime]
    look_at: Mapped[datetime]


class PatrolRow(Base):
    """How far the sweeper has looked at every request: one row."""

    __tablename__ = "patrol"
    __table_args__ = (CheckConstraint("only_row"),)

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    seen: Mapped[datetime]


class WorkerRow(Base):
    """The lease of one worker incarnation."""

    __tablename__ = "workers"

    worker: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    incarnation: Mapped[str] = mapped_column(unique=True)
    stage: Mapped[str]
    renewed_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class JobRow(Base):
    """A request that came through the API."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_newest", "tenant", text("submitted_at DESC"), text("id DESC")),
        Index(
            "jobs_idempotency_key",
            "tenant",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
    )

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    body_hash: Mapped[bytes]
    submitted_at: Mapped[datetime]
    created_at: Mapped[datetime]
    api_key_id: Mapped[str | None]
    idempotency_key: Mapped[str | None] = mapped_column(Text(collation="C"))


class OutboxRow(Base):
    """A job that the broker has not acknowledged yet."""

    __tablename__ = "outbox"
    __table_args__ = (Index("outbox_created_at", "created_at"),)

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    created_at: Mapped[datetime]
    record: Mapped[bytes]
    traceparent: Mapped[str | None]
    reply_to: Mapped[str | None]


class DeadLetterRow(Base):
    """What nobody could finish; the tenant of a letter of nobody is ''."""

    __tablename__ = "dead_letters"
    __table_args__ = (
        Index("dead_letters_newest", "tenant", text("last_seen DESC"), text("letter DESC")),
        Index("dead_letters_last_seen", text("last_seen DESC"), text("letter DESC")),
        Index("dead_letters_publish_at", "publish_at", postgresql_where=text("publish_at IS NOT NULL")),
    )

    tenant: Mapped[str] = key()
    letter: Mapped[str] = key()
    id: Mapped[str | None] = mapped_column(Text(collation="C"))
    run: Mapped[int | None]
    code: Mapped[str]
    stage: Mapped[str]
    reason: Mapped[str]
    topic: Mapped[str]
    attempts: Mapped[int]
    size: Mapped[int] = mapped_column(BigInteger)
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime]
    body: Mapped[bytes]
    redriven_at: Mapped[datetime | None]
    redriven_run: Mapped[int | None]
    publish_at: Mapped[datetime | None]
    value: Mapped[bytes | None]


class BudgetRow(Base):
    """How much a tenant may spend in a period; NULL matches every call."""

    __tablename__ = "budgets"
    __table_args__ = (UniqueConstraint("tenant", "name"),)

    tenant: Mapped[str] = key()
    serial: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(Text(collation="C"))
    limit_usd: Mapped[Decimal]
    period: Mapped[str]
    api_key_id: Mapped[str | None]
    template: Mapped[str | None]
    model: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class BudgetVersionRow(Base):
    """Changes with every budget: one row."""

    __tablename__ = "budget_version"
    __table_args__ = (CheckConstraint("only_row"),)

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    version: Mapped[int] = mapped_column(BigInteger)


class BudgetAccountRow(Base):
    """What a budget has spent and holds in one period."""

    __tablename__ = "budget_accounts"

    tenant: Mapped[str] = key()
    serial: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    label: Mapped[str] = key()
    spent_usd: Mapped[Decimal]
    held_usd: Mapped[Decimal]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class BudgetHoldRow(Base):
    """What an attempt may cost, held in one account until its cost is known."""

    __tablename__ = "budget_holds"

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    run: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    serial: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    label: Mapped[str]
    amount_usd: Mapped[Decimal]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class BudgetEntryRow(Base):
    """What an attempt cost, until the roll-up has booked it."""

    __tablename__ = "budget_entries"

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    run: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    cost_usd: Mapped[Decimal]


class BudgetNoticeRow(Base):
    """A budget reached a mark in a period: told once."""

    __tablename__ = "budget_notices"
    __table_args__ = (Index("budget_notices_look_at", "look_at", postgresql_where=text("told_at IS NULL")),)

    tenant: Mapped[str] = key()
    serial: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    label: Mapped[str] = key()
    mark: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    budget: Mapped[str]
    period: Mapped[str]
    limit_usd: Mapped[Decimal]
    spent_usd: Mapped[Decimal]
    held_usd: Mapped[Decimal]
    at: Mapped[datetime]
    look_at: Mapped[datetime]
    told_at: Mapped[datetime | None]


class BesideUsageRow(Base):
    """The usage record of a call that is no attempt at an answer, until it is produced."""

    __tablename__ = "beside_usage"
    __table_args__ = (Index("beside_usage_look_at", "look_at"),)

    tenant: Mapped[str] = key()
    id: Mapped[str] = key()
    run: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    record: Mapped[bytes]
    traceparent: Mapped[str]
    look_at: Mapped[datetime]


__all__ = [
    "ApiKeyRow",
    "AuditRow",
    "DeliveryRow",
    "ExportJobRow",
    "ExportScheduleRow",
    "OutputSchemaNameRow",
    "OutputSchemaRow",
    "PlanRow",
    "SimilarTrustRow",
    "SinkMemberRow",
    "SinkRow",
    "SinkStreamRow",
    "SourceObjectRow",
    "SourceReaderRow",
    "SourceRow",
    "TenantRow",
    "WebhookEndpointRow",
    "metadata",
]

metadata: MetaData = Base.metadata
