"""What checks of answers to other wordings found. The answers themselves need pgvector: see queries/similar.sql."""

from importlib.resources import files

from alembic import op

revision = "0011"
down_revision = "0012"


def upgrade() -> None:
    script = (files("connectors.postgres.migrations.versions") / "0011_similar.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
