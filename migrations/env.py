"""Run by Alembic on the connection that ``vosd migrate`` opened."""

from alembic import context

from vosd.storage.schema import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run `vosd migrate`: it knows the database from the configuration")

context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
