"""A connection that is cut before the first statement on it: the database is away, as at any other moment."""

import pytest
from sqlalchemy import event

from vosd.cdr.ports import StoreUnavailable
from vosd.storage.database import Database


@pytest.mark.mariadb
async def test_a_connection_that_is_cut_while_its_session_is_prepared_means_a_database_that_is_away(
    mariadb_server, mariadb_url
):
    database = Database(mariadb_url)

    @event.listens_for(database.engine.sync_engine, "checkout")
    def cut(connection, *_):
        number = connection.driver_connection.thread_id()
        with mariadb_server.connection() as other:
            other.cursor().execute(f"KILL CONNECTION {number}")

    with pytest.raises(StoreUnavailable, match="is the server running"):
        async with database.reading():
            pass
    await database.close()
