"""How long the answers of a tenant are kept."""

from alembic import op

revision = "0009"
down_revision = "0005"


def upgrade() -> None:
    op.execute("ALTER TABLE tenants ADD COLUMN cache_ttl_s integer")
