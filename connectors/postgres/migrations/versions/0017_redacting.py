"""What is replaced in what a destination is sent."""

from importlib.resources import files

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    script = (files("connectors.postgres.migrations.versions") / "0017_redacting.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
