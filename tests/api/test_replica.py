"""``database.replica``: lists of calls and of the ledger are read from the copy, all else from the database."""

import asyncio
import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from doubles.api import Api
from doubles.data.records import answered_call, call_id
from doubles.migrated import migrated

from vosd.storage.books import SqlBooks
from vosd.storage.database import Database


def _book(url: str, *numbers: int) -> None:
    async def book() -> None:
        database = Database(url)
        await SqlBooks(database).book([answered_call(each) for each in numbers])
        await database.close()

    asyncio.run(book())


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that has not got the latest call yet."""
    file = tmp_path_factory.mktemp("copy") / "vosd.db"
    _book(migrated(file), 1)
    return file


@pytest.fixture(scope="module")
def api(install: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory, replica: Path) -> Iterator[Api]:
    directory = tmp_path_factory.mktemp("api")
    config = install(directory)
    _book(f"sqlite+aiosqlite:///{directory}/vosd.db", 1, 2)
    written = config.read_text().replace("database: {", f"database: {{replica: 'sqlite+aiosqlite:///{replica}', ")
    config.write_text(written)
    with Api(config) as process:
        yield process


def listed(api: Api, path: str) -> list[str]:
    return sorted({each["call_id"] for each in api.ask("GET", path).json["items"]})


def exported(api: Api) -> list[str]:
    export = api.wait_for(api.ask("POST", "/cdrs/export", {}))
    rows = csv.DictReader(api.ask("GET", f"/jobs/{export['id']}/result").content.decode().splitlines())
    return [each["call_id"] for each in rows]


def test_what_reads_much_is_read_from_the_copy_and_from_the_database_while_that_is_away(
    api: Api, replica: Path
) -> None:
    both = [call_id(1), call_id(2)]
    assert listed(api, "/cdrs") == listed(api, "/ledger") == [call_id(1)]
    assert exported(api) == both
    assert api.ask("GET", f"/cdrs/{call_id(2)}").status == 200
    replica.rename(replica.with_name("gone.db"))
    assert listed(api, "/cdrs") == listed(api, "/ledger") == both
