"""A database of SQLite for an office."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from doubles.migrated import migrated

from vosd.storage.database import Database


@pytest.fixture
def url(tmp_path: Path) -> str:
    return migrated(tmp_path / "vosd.db")


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database(url) as database:
        yield database
