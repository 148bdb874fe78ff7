"""Budgets, and what was reserved and spent of them."""

from importlib.resources import files

from alembic import op

revision = "0004"
down_revision = "0009"


def upgrade() -> None:
    script = (files("connectors.postgres.migrations.versions") / "0004_budgets.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
