"""What is being asked, so that identical requests are asked once."""

from importlib.resources import files

from alembic import op

revision = "0005"
down_revision = "0003"


def upgrade() -> None:
    script = (files("connectors.postgres.migrations.versions") / "0005_questions.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
