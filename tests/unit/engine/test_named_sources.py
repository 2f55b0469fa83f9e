"""Names of customers in the index: their addresses follow DNS, outages change nothing, conflicts are reported."""

from collections.abc import AsyncIterator

import pytest
from doubles.data.builders import mapping_gateway, routing_gateway
from doubles.nameserver import Mood, NameServer
from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.engine.peers.directory import SOURCES_MAX, NameDirectory
from vosd.engine.peers.named_sources import NamedSources
from vosd.engine.settings import DnsSettings
from vosd.net.resolve import NameServerResolver
from vosd.obs.alarms import Alarms
from vosd.routing.identify import SourceIndex
from vosd.sip.locate import RecordType, UsableTransports
from vosd.trunks.gateways import Address, HostName

ACME = mapping_gateway("acme", named_hosts=(HostName("acme.example", 5060),))
OTHER = mapping_gateway("other", named_hosts=(HostName("other.example", 5060),))


class Stage:
    """A directory with a name server, and the index that follows it."""

    def __init__(self, server: NameServer) -> None:
        self.server = server
        self.clock = ManualClock()
        self.directory = NameDirectory(
            NameServerResolver([server.address], 5_000, 1),
            self.clock,
            UsableTransports({"udp": (RecordType.A,)}),
            DnsSettings(stale_s=1_000),
        )
        self.sources = NamedSources(self.directory.sources)
        self.configured = SourceIndex(())
        self.moves = 0
        self.directory.sources_moved = self._moved

    async def adopt(self, *gateways) -> None:
        await self.directory.adopt(gateways)
        self.configured = SourceIndex(each for each in gateways if not hasattr(each, "addresses"))

    async def later(self, seconds: int) -> None:
        self.clock.move_to(self.clock.now().mono + 1_000 * seconds)
        self.directory.begin_due()
        await self.directory.settled()

    def owner(self, host: str) -> str | None:
        found = self.sources.locate(self.configured).identify(host, 5060, lambda _: "44")
        return found.gateway.name if found else None

    def _moved(self) -> None:
        self.moves += 1


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with NameServer("acme.example 60 A 192.0.2.7\nother.example 60 A 192.0.2.8\n") as server:
        yield Stage(server)


def told(logs, *events):
    return [line for line in logs if line["event"] in events]


async def test_the_addresses_of_a_customer_follow_its_name(stage):
    await stage.adopt(ACME)
    assert (stage.owner("192.0.2.7"), stage.owner("192.0.2.9")) == ("acme", None)
    stage.server.remove("acme.example")
    stage.server.put("acme.example 60 A 192.0.2.9")
    with capture_logs() as logs:
        await stage.later(60)
        assert (stage.owner("192.0.2.7"), stage.owner("192.0.2.9")) == (None, "acme")
    (line,) = told(logs, "source_addresses_changed")
    assert (line["name"], line["before"], line["addresses"]) == ("acme.example:5060", ["192.0.2.7"], ["192.0.2.9"])
    assert stage.moves == 1


async def test_an_index_is_made_anew_only_where_something_has_changed(stage):
    await stage.adopt(ACME)
    first = stage.sources.locate(stage.configured)
    await stage.later(60)
    assert stage.sources.locate(stage.configured) is first
    none_named = SourceIndex([mapping_gateway("plain", "192.0.2.1")])
    assert stage.sources.locate(none_named) is none_named


async def test_an_outage_of_the_name_servers_takes_no_address_away_until_the_answer_is_stale(stage):
    await stage.adopt(ACME)
    stage.server.mood = Mood.FAILING
    for _ in range(16):
        await stage.later(60)
        assert stage.owner("192.0.2.7") == "acme"
    await stage.later(60)
    assert stage.owner("192.0.2.7") is None


async def test_a_name_that_does_not_exist_any_more_stands_for_no_address(stage):
    await stage.adopt(ACME)
    stage.server.remove("acme.example")
    await stage.later(60)
    assert stage.owner("192.0.2.7") is None


async def test_names_that_meet_are_an_alarm_until_they_part(stage):
    await stage.adopt(ACME, OTHER)
    stage.owner("192.0.2.7")
    stage.server.put("other.example 60 A 192.0.2.7")
    alarms = Alarms()
    with capture_logs() as logs:
        await stage.later(60)
        assert [stage.owner(host) for host in ("192.0.2.7", "192.0.2.8")] == ["acme", "other"]
        stage.owner("192.0.2.7")
    (line,) = told(logs, "source_conflict")
    assert (line["gateway"], line["address"], line["holder"], line["log_level"]) == (
        "other", "192.0.2.7", "acme", "warning",
    )  # fmt: skip
    (raised,) = alarms.note("source_conflict", line, 0)
    stage.server.remove("acme.example")
    with capture_logs() as logs:
        await stage.later(60)
        assert stage.owner("192.0.2.7") == "other"
    (over,) = told(logs, "source_conflict_over")
    (cleared,) = alarms.note("source_conflict_over", over, 1)
    assert raised != cleared


async def test_addresses_that_no_host_sends_from_and_more_than_enough_are_left_out(stage):
    stage.server.put("acme.example 60 A 0.0.0.0")
    stage.server.put("acme.example 60 A 224.0.0.1")
    stage.server.put("acme.example 60 A 255.255.255.255")
    await stage.adopt(ACME)
    located = stage.sources.locate(stage.configured)
    assert located.addresses_by_name("acme") == ["192.0.2.7"]
    for last in range(SOURCES_MAX):
        stage.server.put(f"other.example 60 A 198.51.100.{last}")
    await stage.adopt(OTHER)
    assert len(stage.directory.sources(*OTHER.named_hosts)) <= SOURCES_MAX


async def test_names_of_customers_are_no_names_of_vendors(stage):
    vendor = routing_gateway("vendor", addresses=(Address("other.example", 5060),))
    await stage.adopt(ACME, vendor)
    assert (stage.directory.hosts(), [*stage.directory.names_to("192.0.2.7")]) == ({"192.0.2.8"}, [])
    assert [*stage.directory.names_to("192.0.2.8")] == ["other.example"]
