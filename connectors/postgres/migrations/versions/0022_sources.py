"""Sources that operators make over HTTP."""

from importlib.resources import files

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    script = (files("connectors.postgres.migrations.versions") / "0022_sources.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
