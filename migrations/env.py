"""Run by Alembic on the connection that ``vosd migrate`` opened."""

from alembic import context
from sqlalchemy import inspect, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.compiler import DDLCompiler

from vosd.storage.schema import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run `vosd migrate`: it knows the database from the configuration")

OLDEST = "schema_compatibility"


@compiles(CreateTable, "mysql", "mariadb")
def of_long_keys(create: CreateTable, compiler: DDLCompiler) -> str:
    """Return the statement of a table whose indexes may be long, whatever row format the server prefers."""
    return f"{compiler.visit_create_table(create).rstrip()} ROW_FORMAT=DYNAMIC"


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
