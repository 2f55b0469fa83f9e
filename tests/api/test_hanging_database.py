"""A database that accepts connections and does not answer: requests for what the switch knows do without it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from doubles.api import Api
from doubles.daemon import Daemon
from doubles.migrated import migrate_on_server
from doubles.mysql import mortal_server
from doubles.process.mariadb import MariaDb
from e2e.addresses import API_SWITCH

from vosd.storage.database import COMMAND_PATIENCE_S

KNOWN = ("/status", "/alarms", "/calls?limit=5")
CONFIGURATION = f"""\
sip: {{listen: ["udp:{API_SWITCH}"]}}
database: {{url: "$url"}}
state_dir: $directory/var
control_socket: $directory/vosd.sock
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A server that may hang."""
    yield from mortal_server(tmp_path_factory.mktemp("mariadb"))


@pytest.mark.mariadb
def test_what_the_switch_knows_is_answered_while_the_database_hangs(server: MariaDb, tmp_path: Path) -> None:
    url = server.create_database("vosd_hangs")
    migrate_on_server(url)
    text = CONFIGURATION.replace("$url", url).replace("$directory", str(tmp_path))
    with Daemon(tmp_path, text) as daemon, Api(daemon.configuration_file) as api:
        assert [api.ask("GET", path).status for path in KNOWN] == [200] * 3
        server.hang()
        try:
            begun = time.monotonic()
            assert [api.ask("GET", path).status for path in KNOWN] == [200] * 3
            # Without it, each waits for the database itself; a busy machine delays them, too.
            assert time.monotonic() - begun < len(KNOWN) * COMMAND_PATIENCE_S
        finally:
            server.go_on()
        assert api.ask("GET", "/accounts").status == 200


def test_an_url_that_cannot_be_used_is_followed_by_the_next(install: Callable[[Path], Path], tmp_path: Path) -> None:
    config = install(tmp_path)
    good = config.read_text()
    with Api(config) as api:
        assert api.ask("GET", "/accounts").status == 200
        for bad in ("mysql+aiomysql://a@127.0.0.1:1/b?foo=1", "mysql+aiomysql://a@127.0.0.1:1/b?ssl_ca=/nope.pem"):
            config.write_text(f"{good.partition('url:')[0]}url: '{bad}'}}\n{good.partition('}')[2]}")
            assert api.ask("GET", "/accounts").status in {200, 422}
            assert api.ask("GET", "/accounts").json.get("code") != "internal"
            config.write_text(good)
            assert api.ask("GET", "/accounts").status == 200
