"""A migration of MariaDB that is killed between its steps is repeated from there, and leads to the same schema."""

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from doubles.dying import Steps, is_killed
from sqlalchemy import event, func, select
from sqlalchemy.engine import Connection, Engine

from vosd.storage import schema
from vosd.storage.database import Database
from vosd.storage.migrate import NEWEST, migrate, migrate_async

pytestmark = pytest.mark.mariadb
CHANGES = ("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE")


class Killed(Exception):  # noqa: N818 - it is no error
    """The process ends here: its connection with it, and what is not committed."""


@pytest.fixture(autouse=True, scope="module")
def read_once():
    """Let all attempts share the migrations that the first one has read, which takes longer than to make them."""
    read, found = ScriptDirectory.from_config, []

    def from_config(config: Config) -> ScriptDirectory:
        if not found:
            found.append(read(config))
        return found[0]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ScriptDirectory, "from_config", from_config)
        yield


class Attempts:
    """Attempts to migrate one database, of which each comes one new change further and is killed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.killed_at: list[str] = []
        """Statements behind which they were killed."""

    async def make_one(self) -> bool:
        """Return whether it was killed."""
        event.listen(Engine, "after_cursor_execute", self._note)
        try:
            await migrate_async(self.url)
        except Killed:
            return True
        finally:
            event.remove(Engine, "after_cursor_execute", self._note)
        return False

    def _note(self, _connection, _cursor, statement: str, *_rest: object) -> None:
        if statement.lstrip().startswith(CHANGES) and statement not in self.killed_at:
            self.killed_at.append(statement)
            raise Killed


@pytest.fixture(scope="module")
def attempts(mariadb_server) -> Attempts:
    return Attempts(mariadb_server.create_database("killed"))


def schema_of(connection: Connection) -> tuple[object, ...]:
    """Return all definitions, whose keys have no order, the counters, and how many identities there are."""
    definitions = [
        sorted(
            line.strip(" ,")
            for line in connection.exec_driver_sql(f"SHOW CREATE TABLE {table}").fetchone()[1].split("\n")
        )
        for (table,) in connection.exec_driver_sql("SHOW TABLES").fetchall()
    ]
    counters = connection.execute(select(schema.counter.c.name, schema.counter.c.value)).fetchall()
    identities = connection.scalar(select(func.count()).select_from(schema.identity))
    return definitions, sorted(map(tuple, counters)), identities


async def made(url: str) -> tuple[object, ...]:
    async with Database(url) as database, database.reading() as connection:
        return await connection.run_sync(schema_of)


@pytest.mark.parametrize("revision", ["0010", "0033", "0061", "0081", "0097", NEWEST])
async def test_a_migration_that_is_killed_behind_any_of_its_steps_is_repeated(attempts, mariadb_server, revision):
    """Each case goes on where the one before ended: in one test, all of it takes minutes on a busy machine."""
    while await attempts.make_one():
        if f"version_num='{revision}'" in attempts.killed_at[-1]:
            return
    assert len(attempts.killed_at) > 50
    other = mariadb_server.create_database(f"other_{revision}")
    await migrate_async(other)
    assert await made(attempts.url) == await made(other)


def test_a_process_that_is_killed_in_a_migration_leaves_it_to_the_next(mariadb_url):
    def killed_at(number: int) -> bool:
        def run() -> int:
            steps = Steps(number)
            event.listen(Engine, "after_cursor_execute", lambda *_arguments: steps.step())
            migrate(mariadb_url)
            return 0

        return is_killed(run)

    assert all(killed_at(number) for number in (20, 25, 30))
    migrate(mariadb_url)
    migrate(mariadb_url)
