"""Named output schemas."""

from importlib.resources import files

from alembic import op

revision = "0008"
down_revision = "0004"


def upgrade() -> None:
    script = (files("connectors.postgres.migrations.versions") / "0008_output_schemas.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
