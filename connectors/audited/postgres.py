"""The repositories in PostgreSQL as whoever changes something has them: their changes leave rows of the audit log."""

from connectors.audited import rules
from connectors.audited.recording import audited
from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.budgets import PostgresBudgets
from connectors.postgres.deliveries import PostgresDeliveries
from connectors.postgres.endpoints import PostgresEndpoints
from connectors.postgres.exports import PostgresExportJobs, PostgresExportSchedules
from connectors.postgres.letters import PostgresLetters
from connectors.postgres.pool import Pool
from connectors.postgres.schemas import PostgresSchemas
from connectors.postgres.sink_board import PostgresSinkBoard
from connectors.postgres.sources import PostgresSources
from connectors.postgres.trail import PostgresTrail
from domain.ports import (
    Accounts,
    Budgets,
    Deliveries,
    Endpoints,
    ExportJobs,
    ExportSchedules,
    Letters,
    Schemas,
    SinkBoard,
    SourceStore,
)


class Repositories:
    """Of one pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.trail = PostgresTrail(pool)

    @property
    def accounts(self) -> Accounts:
        return audited(PostgresAccounts(self._pool), self.trail, rules.ACCOUNTS)

    @property
    def budgets(self) -> Budgets:
        return audited(PostgresBudgets(self._pool), self.trail, rules.BUDGETS)

    @property
    def endpoints(self) -> Endpoints:
        return audited(PostgresEndpoints(self._pool), self.trail, rules.ENDPOINTS)

    @property
    def deliveries(self) -> Deliveries:
        return audited(PostgresDeliveries(self._pool), self.trail, rules.DELIVERIES)

    @property
    def export_jobs(self) -> ExportJobs:
        return audited(PostgresExportJobs(self._pool), self.trail, rules.EXPORT_JOBS)

    @property
    def export_schedules(self) -> ExportSchedules:
        return audited(PostgresExportSchedules(self._pool), self.trail, rules.EXPORT_SCHEDULES)

    @property
    def sinks(self) -> SinkBoard:
        return audited(PostgresSinkBoard(self._pool), self.trail, rules.SINKS)

    @property
    def sources(self) -> SourceStore:
        return audited(PostgresSources(self._pool), self.trail, rules.SOURCES)

    @property
    def schemas(self) -> Schemas:
        return audited(PostgresSchemas(self._pool), self.trail, rules.SCHEMAS)

    @property
    def letters(self) -> Letters:
        return audited(PostgresLetters(self._pool), self.trail, rules.LETTERS)
