"""Objects that sources have read."""

from importlib.resources import files

from alembic import op

revision = "0021"
down_revision = "0018"


def upgrade() -> None:
    script = (files("connectors.postgres.migrations.versions") / "0021_source_objects.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
