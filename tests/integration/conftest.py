"""A service manager that listens, and a database that is ready, for tests of the real process."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.data.records import answered_call
from doubles.installation import Installation
from doubles.migrated import migrated as migrated_at
from doubles.service_manager import ServiceManager


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceManager]:
    manager = ServiceManager(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    # The kernel keeps ten unread messages; a shorter period would fill them while a busy machine does not read.
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    yield manager
    manager.close()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a new database of SQLite, to be copied: all migrations take a hundred times as long."""
    database = tmp_path_factory.mktemp("migrated") / "vosd.db"
    migrated_at(database)
    return database


@pytest.fixture
def installation(tmp_path: Path, migrated: Path) -> Installation:
    installation = Installation(tmp_path)
    shutil.copy(migrated, installation.database)
    return installation


@pytest.fixture
def booked(installation: Installation) -> Installation:
    """Two calls of September and one of 30 September 22:30 UTC, when October has begun in Berlin."""
    parties = {"customer_account": "customer-1", "vendor_account": "vendor-1"}
    late = 1_790_807_400_000
    installation.book([answered_call(1, **parties), answered_call(2, **parties)])
    installation.book([answered_call(3, **parties, ended_at=late)])
    return installation
