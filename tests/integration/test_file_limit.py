"""How many files the daemon may open: as many as there may be connections, after a reload as well."""

import resource
from pathlib import Path

import pytest
from doubles.daemon import Daemon
from doubles.few_files import few_files
from e2e.addresses import NETWORK

from vosd.daemon.open_files import FILES_BESIDE

CONFIGURATION = """
sip: {listen: ["udp:$network.9:14064"], connections: {max: $most}}
database: {url: "sqlite+aiosqlite:///$directory/vosd.db"}
state_dir: $directory/var
control_socket: $directory/vosd.sock
""".replace("$network", NETWORK)
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def five_thousand_files() -> None:
    """Lower the limit for good."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (5_000, 5_000))


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


@pytest.mark.parametrize(("media", "is_low"), [("media: {engine: relay, workers: 1}\n", True), ("", False)])
def test_a_limit_is_too_low_for_the_ports_of_the_relay(tmp_path: Path, media: str, is_low: bool) -> None:
    ports = 'parameters: {SS_RTP_PORT_RANGE: "20000,23999", IVR_RTP_PORT: "24000,24999"}\n'
    with Daemon(tmp_path, with_most(50) + media + ports, prepare=five_thousand_files) as daemon:
        low = [line for line in daemon.log() if line.get("event") == "file_limit_low"]
        found = [(line["may_open"], line["wanted"], line["connections"], line["media_ports"]) for line in low]
        assert found == ([(5_000, 10_550, 50, 5_000)] if is_low else [])
