"""Names of gateways that a reload brings or removes: what is reported of them, and what a refused reload leaves."""

from collections.abc import AsyncIterator

import pytest
from doubles.data.builders import routing_gateway
from doubles.nameserver import NameServer
from doubles.virtual.clock import ManualClock
from structlog.testing import capture_logs

from vosd.engine.peers.directory import NameDirectory
from vosd.engine.settings import DnsSettings
from vosd.net.resolve import NameServerResolver
from vosd.sip.locate import RecordType, UsableTransports
from vosd.trunks.gateways import Address

FOUND = routing_gateway("found", addresses=(Address("found.example.net", 5070),))
LOST = routing_gateway("lost", addresses=(Address("lost.example.net", 5070),))
BESIDE = routing_gateway("beside", addresses=(Address("lost.example.net", 5080),))


@pytest.fixture
async def directory() -> AsyncIterator[NameDirectory]:
    async with NameServer("found.example.net 60 A 192.0.2.9\n") as server:
        resolver = NameServerResolver([server.address], 5_000, 1)
        yield NameDirectory(resolver, ManualClock(), UsableTransports({"udp": (RecordType.A,)}), DnsSettings())


def told(logs):
    return [(line["event"], line["name"], line["why"] == "gone") for line in logs if "name" in line]


async def test_a_name_without_an_answer_that_is_configured_no_more_is_over(directory):
    with capture_logs() as logs:
        await directory.adopt([LOST, BESIDE])
        await directory.adopt([BESIDE])
        assert set(told(logs)) == {("gateway_name_lost", "lost.example.net", False)}
        logs.clear()
        await directory.adopt([])
    assert told(logs) == [("gateway_name_found", "lost.example.net", True)]


async def test_a_reload_that_is_refused_reports_no_name_and_makes_no_source_known(directory):
    with capture_logs() as logs:
        await directory.look_up([LOST, FOUND])
        await directory.settled()
        directory.begin_due()
        await directory.settled()
        assert (told(logs), directory.hosts(), directory.knows(FOUND)) == ([], frozenset(), False)
        directory.keep_to([LOST, FOUND])
    assert told(logs) == [("gateway_name_lost", "lost.example.net", False)]
    assert directory.hosts() == {"192.0.2.9"}
