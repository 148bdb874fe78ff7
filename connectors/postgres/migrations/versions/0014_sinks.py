"""Orders to the operator's sinks, and the reports of their processes."""

from importlib.resources import files

from alembic import op

revision = "0014"
down_revision = "0010"


def upgrade() -> None:
    script = (files("connectors.postgres.migrations.versions") / "0014_sinks.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
