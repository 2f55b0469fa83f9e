"""The database of a test is closed however the test ends."""

import pytest
from contract.conftest import emptied, shared_database


async def _fail_with(url: str) -> None:
    async with emptied(url):
        raise LookupError


async def test_the_database_is_closed_where_the_test_fails(database_url, monkeypatch):
    database, closed = shared_database(database_url), []
    close = database.close

    async def count() -> None:
        closed.append(True)
        await close()

    monkeypatch.setattr(database, "close", count)
    with pytest.raises(LookupError):
        await _fail_with(database_url)
    await close()
    assert closed == [True]
