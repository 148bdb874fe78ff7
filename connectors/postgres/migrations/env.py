"""Alembic's entry: runs on the connection that connectors.postgres.migrate has opened and locked."""

from alembic import context

from connectors.postgres.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
