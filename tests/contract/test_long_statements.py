"""A statement of the management API that takes too long is ended by MariaDB, not by the patience of a client."""

import os
from pathlib import Path

import pytest
from doubles.api import ADMINISTRATOR, identify
from doubles.asgi import answered
from doubles.mysql import PROGRAM
from sqlalchemy import text

from vosd.api.application import Application
from vosd.api.jobs import Jobs
from vosd.api.offices import Offices
from vosd.api.routes import Routes
from vosd.api.table import OPERATIONS
from vosd.cdr.ports import StoreUnavailable
from vosd.storage.database import Database
from vosd.storage.driver_errors import StatementTooLong

ENDLESS = text("SELECT COUNT(*) FROM seq_1_to_1000000000 AS a WHERE a.seq % 7 = SLEEP(0)")


@pytest.mark.mariadb
async def test_a_statement_that_takes_too_long_is_ended_and_the_connection_is_used_again(mariadb_url):
    async with Database(mariadb_url, statement_s=0.2) as database:
        for kind in (database.reading, database.writing):
            with pytest.raises(StatementTooLong, match=r"longer than 0\.2 s") as ended:
                async with kind() as connection:
                    await connection.execute(ENDLESS)
            assert isinstance(ended.value, StoreUnavailable)
            assert (ended.value.code, "since" in ended.value.remedy) == ("statement_too_long", True)
        async with database.reading() as connection:
            assert (await connection.execute(text("SELECT 1"))).scalar() == 1


@pytest.mark.mariadb
async def test_backups_and_others_have_no_such_limit(mariadb_url):
    limited = Database(mariadb_url, statement_s=3)
    for database, found in ((limited, 3), (limited.apart(), 0), (Database(mariadb_url), 0)):
        async with database.reading() as connection:
            assert (await connection.execute(text("SELECT @@max_statement_time"))).scalar() == found
        await database.close()


@pytest.mark.mariadb
async def test_a_limit_that_the_server_has_for_others_ends_no_backup(mariadb_server, mariadb_url):
    name = "max_execution_time" if PROGRAM in os.environ else "max_statement_time"
    limited = Database(mariadb_url, statement_s=3)
    with mariadb_server.connection(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"SET GLOBAL {name} = 2")
        try:
            for database in (limited.apart(), Database(mariadb_url)):
                async with database.reading() as reading:
                    assert (await reading.execute(text(f"SELECT @@{name}"))).scalar() == 0
                await database.close()
        finally:
            cursor.execute(f"SET GLOBAL {name} = DEFAULT")
            await limited.close()


@pytest.mark.mariadb
async def test_a_request_whose_statement_takes_too_long_is_a_504_that_says_what_to_ask(
    migrated_mariadb: str, mariadb_server, tmp_path: Path
):
    config = tmp_path / "vosd.yaml"
    config.write_text(f"database: {{url: '{migrated_mariadb}'}}\nstate_dir: {tmp_path}\naccounts: [{{id: acme}}]\n")
    async with Offices(config, 0.3) as offices:
        application = Application(offices, identify, Routes(OPERATIONS), Jobs(config, offices))
        head = {"authorization": f"Bearer {ADMINISTRATOR}"}
        with mariadb_server.connection() as other:
            other.cursor().execute(f"USE {Database(migrated_mariadb).engine.url.database}")
            other.cursor().execute("LOCK TABLES audit WRITE")
            found = await answered(application, "GET", "/audit", headers=head)
        assert (found.status, found.json["code"]) == (504, "statement_too_long")
        assert "shorter span" in found.json["remedy"]
        assert (await answered(application, "GET", "/audit", headers=head)).status == 200
