"""Usage records of calls that are no attempts at an answer, until they are produced."""

from importlib.resources import files

from alembic import op

revision = "0018"
down_revision = "0015"


def upgrade() -> None:
    script = (files("connectors.postgres.migrations.versions") / "0018_beside.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
