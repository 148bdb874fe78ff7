"""Endpoints of webhooks, and the durable queue of what is delivered to tenants."""

from importlib.resources import files

from alembic import op

revision = "0012"
down_revision = "0014"


def upgrade() -> None:
    script = (files("connectors.postgres.migrations.versions") / "0012_webhooks.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
