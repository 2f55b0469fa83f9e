"""The task that reads the average use of accounts: over an outage of the database, and until it is ended."""

import pytest
import structlog
from doubles.data.builders import account
from doubles.memory import MemoryStore
from doubles.migrated import migrated
from doubles.turns import until

from vosd.cdr.ports import StoreUnavailable
from vosd.daemon import average_use
from vosd.daemon.average_use import AverageUse
from vosd.engine.booking.balances import Balances
from vosd.storage.average_use import SqlAverageUse
from vosd.storage.database import Database


async def test_use_is_read_when_the_database_is_back(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = {"acme": account("acme", balance_low_hours=24)}
    balances = Balances(MemoryStore())
    await balances.adopt(accounts)
    monkeypatch.setattr(average_use, "READ_S", 0)

    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    with structlog.testing.capture_logs() as logs, monkeypatch.context() as outage:
        outage.setattr(SqlAverageUse, "added_up", away)
        async with Database(migrated(tmp_path / "vosd.db")) as database:
            part = AverageUse(balances, lambda: accounts, database)
            await part.begin()
            await until(lambda: logs)
            outage.undo()
            await until(lambda: len(logs) > 1)
            await part.end()
    assert [(each["event"], each["part"]) for each in logs] == [
        ("database_away", "average use"),
        ("database_back", "average use"),
    ]
    assert not balances.credits["acme"].awaits_use
