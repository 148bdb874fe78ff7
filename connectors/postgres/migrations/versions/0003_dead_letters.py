"""Dead letters, to be listed and redriven."""

from importlib.resources import files

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    script = (files("connectors.postgres.migrations.versions") / "0003_dead_letters.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
