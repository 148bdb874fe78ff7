"""What a key may do; those that were made before may do everything."""

from alembic import op

revision = "0019"
down_revision = "0011"


def upgrade() -> None:
    op.execute("ALTER TABLE api_keys ADD COLUMN scopes text[] NOT NULL DEFAULT '{admin}'")
