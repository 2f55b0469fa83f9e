"""Run by Alembic on the connection that ``vosd migrate`` opened."""

from alembic import context
from sqlalchemy import inspect, text

from vosd.storage.schema import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run `vosd migrate`: it knows the database from the configuration")

OLDEST = "schema_compatibility"


def note_compatible() -> None:
    """Note the oldest schema whose programs work with this one: an upgrade can be taken back to them (ADR 72)."""
    if not inspect(connection).has_table(OLDEST):
        return
    revision = context.get_context().get_current_revision()
    migration = context.script.get_revision(revision).module
    connection.execute(text(f"DELETE FROM {OLDEST}"))  # noqa: S608 - a name of ours
    oldest = getattr(migration, "compatible_with", revision)
    connection.execute(text(f"INSERT INTO {OLDEST} (oldest) VALUES (:oldest)"), {"oldest": oldest})  # noqa: S608 - too


context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
    note_compatible()
