"""What was asked with an Idempotency-Key, of exports into a bucket: another body under the same key is told."""

from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.execute("ALTER TABLE export_jobs ADD COLUMN asked bytea")
