"""The file with the answers of name servers: what a start has while they do not answer."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from doubles.data.builders import routing_gateway
from doubles.nameserver import Mood, NameServer
from doubles.turns import until
from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.engine.peers import kept_names
from vosd.engine.peers.directory import NameDirectory
from vosd.engine.peers.kept_names import NAMES, NamesFile
from vosd.engine.settings import DnsSettings
from vosd.net.resolve import NameServerResolver
from vosd.sip.locate import RecordType, UsableTransports
from vosd.trunks.gateways import Address

MEANS = UsableTransports(dict.fromkeys(("udp", "tcp", "tls"), (RecordType.A, RecordType.AAAA)))
DAY_S = 86_400
ZONE = """
example.net 600 NAPTR 10 10 "s" "SIP+D2U" "" _sip._udp.example.net.
_sip._udp.example.net 300 SRV 10 1000 5062 a.example.net.
_sip._udp.example.net 300 SRV 20 0 5064 c.example.net.
a.example.net 100 A 192.0.2.1
c.example.net 100 AAAA 2001:db8::3
gone.example.net 60 A 192.0.2.9
"""
CARRIER = routing_gateway("carrier", addresses=(Address("example.net", None),))
GONE = routing_gateway("gone", addresses=(Address("gone.example.net", 5060),))
FOUND = (
    Address("192.0.2.1", 5062, "udp", "example.net", "example.net"),
    Address("2001:db8::3", 5064, "udp", "example.net", "example.net"),
)


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer(ZONE) as server:
        yield server


class Run:
    """A run of the switch, with a monotonic clock of its own."""

    def __init__(self, server: NameServer, state_dir: Path, wall_s: int, **settings: int) -> None:
        self.clock = ManualClock(mono=7_000_000 + wall_s, wall=wall_s * 1_000)
        resolver = NameServerResolver([server.address], 5_000, 1)
        self.directory = NameDirectory(resolver, self.clock, MEANS, DnsSettings(**settings), lambda _: 0)
        self.file = NamesFile(state_dir, self.directory, self.clock)
        self.file.restore()


async def test_a_start_uses_the_answers_of_the_run_before(server, tmp_path):
    before = Run(server, tmp_path, 1_000_000)
    await before.directory.adopt([CARRIER, GONE])
    before.file.write_last()
    assert (tmp_path / NAMES).stat().st_mode & 0o777 == 0o600
    server.mood = Mood.FAILING
    after = Run(server, tmp_path, 1_000_000 + DAY_S - 1)
    with capture_logs() as logged:
        await after.directory.adopt([CARRIER])
    assert after.directory.addresses(CARRIER) == FOUND
    (line,) = logged
    assert (line["event"], line["still_used"]) == ("gateway_name_lost", ["192.0.2.1", "2001:db8::3"])
    after.file.write_last()
    again = Run(server, tmp_path, 1_000_000 + DAY_S - 1)
    await again.directory.adopt([CARRIER])
    assert again.directory.addresses(CARRIER) == FOUND


@pytest.mark.parametrize(("whole", "damaged"), [(b"]", b""), (b"example", b"\xff")])
async def test_a_file_that_is_damaged_begins_anew(server, tmp_path, whole, damaged):
    before = Run(server, tmp_path, 1_000_000)
    await before.directory.adopt([CARRIER])
    before.file.write_last()
    content = (tmp_path / NAMES).read_bytes()
    (tmp_path / NAMES).write_bytes(content.replace(whole, damaged, 1))
    with capture_logs() as logged:
        after = Run(server, tmp_path, 1_000_000)
    assert [line["event"] for line in logged] == ["names_unreadable"]
    await after.directory.adopt([CARRIER])
    assert after.directory.addresses(CARRIER) == FOUND


@pytest.mark.parametrize(("later_s", "stale_s"), [(DAY_S + 1, DAY_S), (61, 60), (1, 0)])
async def test_answers_that_are_too_old_are_not_used(server, tmp_path, later_s, stale_s):
    before = Run(server, tmp_path, 1_000_000)
    await before.directory.adopt([CARRIER])
    before.file.write_last()
    server.mood = Mood.FAILING
    after = Run(server, tmp_path, 1_000_000 + later_s, stale_s=stale_s)
    await after.directory.adopt([CARRIER])
    assert after.directory.addresses(CARRIER) == ()
    assert not after.directory.knows(CARRIER)


async def test_an_answer_takes_the_place_of_what_was_kept(server, tmp_path):
    before = Run(server, tmp_path, 1_000_000)
    await before.directory.adopt([GONE])
    before.file.write_last()
    server.remove("gone.example.net")
    server.put("gone.example.net 60 A 192.0.2.10")
    after = Run(server, tmp_path, 1_000_060)
    await after.directory.adopt([GONE])
    assert [each.host for each in after.directory.addresses(GONE)] == ["192.0.2.10"]
    after.file.write_last()
    assert b"192.0.2.10" in (tmp_path / NAMES).read_bytes()


async def test_what_was_learned_is_written_while_the_switch_runs(server, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_names, "ROUND_S", 0.001)
    run = Run(server, tmp_path, 1_000_000)
    task = asyncio.create_task(run.file.run())
    await asyncio.sleep(0)
    assert not (tmp_path / NAMES).exists(), "nothing was learned"
    await run.directory.adopt([GONE])
    await until((tmp_path / NAMES).exists)
    task.cancel()


async def test_a_damaged_file_is_named_and_the_start_goes_on(server, tmp_path):
    (tmp_path / NAMES).write_bytes(b'[{"sought":["exa')
    with capture_logs() as logged:
        run = Run(server, tmp_path, 1_000_000)
    assert [each["event"] for each in logged] == ["names_unreadable"]
    await run.directory.adopt([GONE])
    assert run.directory.knows(GONE)
