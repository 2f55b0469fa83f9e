"""Number of ports that the relay may have open."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from vosd.config.load import load
from vosd.daemon import open_files
from vosd.daemon.open_files import allow_files, media_ports

CONFIGURATION = """
sip: {listen: [$listen]}
database: {url: "sqlite+aiosqlite:///vosd.db"}
media: {engine: relay}
parameters: {SS_RTP_PORT_RANGE: "20000,20999", IVR_RTP_PORT: "24000,24099"}
accounts: [{id: carrier, type: clearing, overdraft_limit: unlimited}]
routing_gateways:
  - {name: within, account: carrier, address: 192.0.2.9, rtp_port_range: "20100,20199"}
  - {name: overlapping, account: carrier, address: 192.0.2.10, rtp_port_range: "20900,21099"}
  - {name: outside, account: carrier, address: 192.0.2.11, rtp_port_range: "30000,30009"}
"""


@pytest.mark.parametrize(
    ("listen", "addresses"),
    [
        ('"udp:192.0.2.1:5060"', 1),
        ('"udp:192.0.2.1:5060", "tcp:192.0.2.1:5060"', 1),
        ('"udp:192.0.2.1:5060", "udp:[2001:db8::1]:5060"', 2),
    ],
)
def test_each_port_of_any_range_counts_once_at_each_address(tmp_path: Path, listen: str, addresses: int) -> None:
    file = tmp_path / "vosd.yaml"
    file.write_text(CONFIGURATION.replace("$listen", listen))
    assert media_ports(load(file, {})) == addresses * (1_100 + 100 + 10)


def test_a_reload_warns_of_a_low_limit_only_where_more_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "vosd.yaml"
    file.write_text(CONFIGURATION.replace("$listen", '"udp:192.0.2.1:5060"'))
    monkeypatch.setattr(open_files.resource, "getrlimit", lambda _: (1_000, 1_000))
    small = load(file, {})
    file.write_text(file.read_text().replace("30009", "30019"))
    large = load(file, {})
    with capture_logs() as logged:
        for loaded, before in ((small, None), (small, small), (large, small), (small, large)):
            allow_files(loaded, relays=True, before=before)
    assert [line["media_ports"] for line in logged] == [1_210, 1_220]
