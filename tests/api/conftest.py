"""An installation with the API as a process, on SQLite, which a file of tests shares."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from doubles.api import Api
from doubles.migrated import migrate_on_server, migrated

CONFIGURATION = """\
database: {url: '$url'}
state_dir: $directory/var
control_socket: $directory/vosd.sock
api: {listen: '127.0.0.1:1', trusted_proxies: [127.0.0.9]}
accounts:
  - {id: acme, agent: reseller}
  - {id: reseller, rights: [accounts, sub_payments, gateways]}
"""


def installed(directory: Path, url: str | None = None) -> Path:
    """Write a configuration on a migrated database, and return it."""
    config = directory / "vosd.yaml"
    text = CONFIGURATION.replace("$url", url or migrated(directory / "vosd.db"))
    config.write_text(text.replace("$directory", str(directory)))
    return config


@pytest.fixture(scope="session")
def install() -> Callable[[Path], Path]:
    """Return ``installed``, for files of tests that need an installation of their own."""
    return installed


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with Api(installed(tmp_path_factory.mktemp("api"))) as process:
        yield process


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def killed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    """A process of its own, which a test kills, on a database of its own."""
    url = None
    if request.param == "mariadb":
        url = request.getfixturevalue("mariadb_server").create_database(f"vosd_{abs(hash(request.node.name))}")
        migrate_on_server(url)
    with Api(installed(tmp_path, url)) as process:
        yield process
