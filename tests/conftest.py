"""What every test shares: Hypothesis without a clock, a private MariaDB started when first wanted, SQLite files."""

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import settings

from vosd.testing.process.mariadb import MariaDb

_numbers = count(1)

# A busy machine must not fail a property; what has to be fast is measured where it says so.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A running MariaDB of the test run's own (port 33100-33199), stopped at its end."""
    server = MariaDb(tmp_path_factory.mktemp("mariadb"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mariadb_url(mariadb_server: MariaDb) -> str:
    """The URL of a new and empty database in MariaDB; no tables, ``vosd migrate`` makes them."""
    return mariadb_server.create_database(f"vosd_{next(_numbers)}")


@pytest.fixture
def sqlite_url(tmp_path) -> str:
    """The URL of an SQLite database that does not exist yet; ``vosd migrate`` makes it."""
    return f"sqlite+aiosqlite:///{tmp_path}/vosd.db"
