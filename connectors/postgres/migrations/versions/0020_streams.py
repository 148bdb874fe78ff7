"""How far partitions are carried into streams of destinations that count their rows."""

from importlib.resources import files

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    script = (files("connectors.postgres.migrations.versions") / "0020_streams.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
