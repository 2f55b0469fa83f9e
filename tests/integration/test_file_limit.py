"""How many files the daemon may open: as many as there may be connections, after a reload as well."""

import resource
from pathlib import Path

import pytest
from doubles.daemon import Daemon
from doubles.few_files import few_files
from e2e.addresses import NETWORK

from vosd.daemon.bootstrap import FILES_BESIDE

CONFIGURATION = """
sip: {listen: ["udp:$network.9:14064"], connections: {max: $most}}
database: {url: "sqlite+aiosqlite:///$directory/vosd.db"}
state_dir: $directory/var
control_socket: $directory/vosd.sock
""".replace("$network", NETWORK)
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def with_most(most: int) -> str:
    return CONFIGURATION.replace("$most", str(most))


def may_open(daemon: Daemon) -> int:
    return resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[0]


@pytest.mark.skipif(HARD < 1_000 + FILES_BESIDE, reason="this machine lets no process open so many files")
def test_a_reload_that_allows_more_connections_lets_the_process_open_more_files(tmp_path: Path) -> None:
    with Daemon(tmp_path, with_most(50), prepare=few_files) as daemon:
        assert may_open(daemon) == 50 + FILES_BESIDE
        daemon.configure(with_most(1_000))
        daemon.succeed("reload")
        assert may_open(daemon) == 1_000 + FILES_BESIDE
        daemon.configure(with_most(1_000_000))
        daemon.succeed("reload")
        assert "file_limit_low" in {line.get("event") for line in daemon.log()} or HARD > 1_000_000
