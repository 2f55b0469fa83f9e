"""Where gateways with names are: real questions to a name server on loopback, time moved by hand (RFC 3263)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from math import inf
from random import Random

import pytest
import structlog
from doubles.data.builders import routing_gateway
from doubles.nameserver import Mood, NameServer
from doubles.virtual.clock import ManualClock

from vosd.engine.peers import directory as directory_module, lookup
from vosd.engine.peers.directory import ConnectTimeouts, NameDirectory, means_of
from vosd.engine.settings import DnsSettings, SipListener
from vosd.net.resolve import NameServerResolver
from vosd.obs.events import Event
from vosd.sip.flows import Hop
from vosd.sip.locate import RecordType, UsableTransports
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.dialect import CalleeDialect
from vosd.trunks.gateways import Address, HostName, RoutingGateway

MEANS = UsableTransports(dict.fromkeys(("udp", "tcp", "tls"), (RecordType.A, RecordType.AAAA)))
PATIENT_MS = 5_000
WITHOUT_SERVER_S = 4
"""On a busy machine; a server that is waited for would take longer."""
ZONE = """
example.net 600 NAPTR 10 10 "s" "SIP+D2U" "" _sip._udp.example.net.
_sip._udp.example.net 300 SRV 10 1000 5062 a.example.net.
_sip._udp.example.net 300 SRV 10 3000 5062 b.example.net.
_sip._udp.example.net 300 SRV 20 0 5064 c.example.net.
a.example.net 100 A 192.0.2.1
b.example.net 100 A 192.0.2.2
c.example.net 100 AAAA 2001:db8::3
single.example.net 60 A 192.0.2.9
d.example.net 60 A 192.0.2.9
e.example.net 60 A 192.0.2.9
"""
CARRIER = routing_gateway("carrier", addresses=(Address("example.net", None),))
ELSEWHERE = Peer(0, "203.0.113.66", 5060)
"""Where the peer is seen that uses a name."""
SINGLE = routing_gateway("single", addresses=(Address("single.example.net", 5070, "tcp"),))
FOUND = (Address("192.0.2.9", 5070, "tcp", "single.example.net", "single.example.net:5070;transport=tcp"),)


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer(ZONE) as server:
        yield server


class Desk:
    """A directory with its clock and its name server."""

    def __init__(self, server: NameServer, *, draw=lambda _: 0, **settings: int) -> None:
        self.server = server
        self.clock = ManualClock()
        self.resolver = NameServerResolver([server.address], PATIENT_MS, 1)
        self.directory = NameDirectory(self.resolver, self.clock, MEANS, DnsSettings(**settings), draw)

    async def adopt(self, *gateways: RoutingGateway) -> None:
        await self.directory.adopt(gateways)

    async def pass_time(self, seconds: float) -> list[str]:
        """Let time pass and lookups that are due come to their end; return the kinds of questions they asked."""
        before = len(self.server.asked)
        self.clock.move_to(self.clock.now().mono + round(seconds * 1000))
        self.directory.begin_due()
        await self.directory.settled()
        return [question.kind.value for question in self.server.asked[before:]]

    async def locate(self, hop: Hop) -> Hop | None:
        """Ask for a name of a dialog twice, with what it sets off in between."""
        self.directory.locate(hop, ELSEWHERE)
        await self.directory.settled()
        return self.directory.locate(hop, ELSEWHERE)


@pytest.fixture
def desk(server: NameServer) -> Desk:
    return Desk(server)


# -- gateways ---------------------------------------------------------------------------------------------------


async def test_a_gateway_with_addresses_costs_nothing(desk):
    gateway = routing_gateway("plain", addresses=(Address("192.0.2.1", 5060), Address("2001:db8::1", 5060)))
    await desk.adopt(gateway)
    assert desk.directory.addresses(gateway) is gateway.addresses
    assert desk.directory.knows(gateway)
    assert desk.directory.hosts() == frozenset()
    assert desk.server.asked == []


async def test_a_name_becomes_addresses_that_remember_it(desk):
    await desk.adopt(CARRIER)
    assert desk.directory.knows(CARRIER)
    assert desk.directory.addresses(CARRIER) == (
        Address("192.0.2.1", 5062, "udp", "example.net", "example.net"),
        Address("192.0.2.2", 5062, "udp", "example.net", "example.net"),
        Address("2001:db8::3", 5064, "udp", "example.net", "example.net"),
    )
    assert [question.kind.value for question in desk.server.asked][:2] == ["NAPTR", "SRV"]


async def test_names_and_addresses_of_one_gateway_stay_in_the_order_of_the_configuration(desk):
    gateway = routing_gateway(
        "mixed",
        addresses=(Address("192.0.2.50", 5060), *SINGLE.addresses, Address("192.0.2.51", 5060), *SINGLE.addresses),
    )
    await desk.adopt(gateway)
    assert desk.directory.addresses(gateway) == (Address("192.0.2.50", 5060), *FOUND, Address("192.0.2.51", 5060))


async def test_each_call_draws_its_own_order_by_weight(server):
    desk = Desk(server, draw=Random(3).randrange)
    await desk.adopt(CARRIER)
    orders = Counter(tuple(each.host for each in desk.directory.addresses(CARRIER)) for _ in range(4_000))
    assert set(orders) == {("192.0.2.1", "192.0.2.2", "2001:db8::3"), ("192.0.2.2", "192.0.2.1", "2001:db8::3")}
    assert orders["192.0.2.1", "192.0.2.2", "2001:db8::3"] == pytest.approx(1_000, rel=0.15)


async def test_nothing_is_known_of_a_gateway_that_was_never_adopted(desk):
    assert desk.directory.addresses(CARRIER) == ()
    assert not desk.directory.knows(CARRIER)


async def test_a_name_without_a_server_is_logged_once_and_has_no_address(desk):
    gateway = routing_gateway("lost", addresses=(Address("lost.example.net", None),))
    with structlog.testing.capture_logs() as lines:
        await desk.adopt(gateway)
        for _ in range(3):
            assert await desk.pass_time(300)
    assert not desk.directory.knows(gateway)
    assert desk.directory.addresses(gateway) == ()
    assert [(line["event"], line["name"], line["why"]) for line in lines] == [
        (
            "gateway_name_lost",
            "lost.example.net",
            "no SIP server is published under this name, or none for a transport and family of sip.listen",
        )
    ]


async def test_hosts_are_those_of_all_gateways_with_names(desk):
    await desk.adopt(CARRIER, SINGLE)
    assert desk.directory.hosts() == {"192.0.2.1", "192.0.2.2", "2001:db8::3", "192.0.2.9"}
    assert [*desk.directory.names_to("2001:db8::3")] == ["example.net"]
    assert not desk.directory.names_to("192.0.2.77")
    assert [*desk.directory.names_at("192.0.2.9")] == ["single.example.net"]
    assert not desk.directory.names_at("192.0.2.77")


async def test_names_of_dialogs_are_searched_by_their_addresses_without_their_servers(desk):
    """A peer may use a thousand names with 160 addresses each; a connection is opened by what is found of them."""
    await desk.locate(Hop("a.example.net", 5070, None))
    [cached] = desk.directory._dialog_names.values()
    cached.servers = ()
    assert [*desk.directory.names_to("192.0.2.1")] == ["a.example.net"]


async def test_the_most_impatient_gateway_of_all_names_of_an_address_limits_the_time_to_connect(desk):
    patience_ms = {"single.example.net": 8_000, "d.example.net": 2_000, "e.example.net": 5_000}
    gateways = {
        name: [routing_gateway(name[0], addresses=(Address(name, 5070, "tcp"),), response_timeout_ms=timeout_ms)]
        for name, timeout_ms in patience_ms.items()
    }
    await desk.adopt(*(each for [each] in gateways.values()))
    timeouts = ConnectTimeouts(lambda host: gateways.get(host, ()), desk.directory)
    assert [timeouts.connects_within(host) for host in ("192.0.2.9", "192.0.2.77")] == [1.0, inf]


async def test_another_catalogue_keeps_what_is_known_and_forgets_what_is_gone(desk):
    await desk.adopt(CARRIER)
    asked = len(desk.server.asked)
    await desk.adopt(CARRIER, SINGLE)
    assert [question.name for question in desk.server.asked[asked:]] == ["single.example.net"] * 2
    await desk.adopt(SINGLE)
    assert desk.directory.hosts() == {"192.0.2.9"}
    assert desk.directory.addresses(CARRIER) == ()


async def test_a_start_does_not_wait_long_for_servers_that_are_away(desk, monkeypatch):
    monkeypatch.setattr(directory_module, "FIRST_LOOKUP_S", 0.01)
    desk.server.mood = Mood.SILENT
    await asyncio.wait_for(desk.adopt(SINGLE), WITHOUT_SERVER_S)
    assert desk.directory.addresses(SINGLE) == ()


# -- time -------------------------------------------------------------------------------------------------------


async def test_a_name_is_asked_for_anew_before_its_records_run_out(desk):
    await desk.adopt(SINGLE)
    assert await desk.pass_time(53.9) == []
    desk.server.remove("single.example.net")
    desk.server.put("single.example.net 60 A 192.0.2.10")
    assert await desk.pass_time(0.2) == ["A", "AAAA"]
    assert [each.host for each in desk.directory.addresses(SINGLE)] == ["192.0.2.10"]
    assert desk.directory.hosts() == {"192.0.2.10"}


async def test_the_shortest_ttl_on_the_way_counts(desk):
    await desk.adopt(CARRIER)
    assert await desk.pass_time(89.9) == []
    assert await desk.pass_time(0.2) == ["NAPTR", "SRV", *["A", "AAAA"] * 3]


@pytest.mark.parametrize(("ttl", "asked_after"), [(0, 9), (1, 9), (86_400, 90)])
async def test_a_ttl_holds_within_bounds(server, ttl, asked_after):
    server.put(f"odd.example.net {ttl} A 192.0.2.20")
    desk = Desk(server, min_ttl_s=10, max_ttl_s=100)
    gateway = routing_gateway("odd", addresses=(Address("odd.example.net", 5060),))
    await desk.adopt(gateway)
    assert await desk.pass_time(asked_after - 0.1) == []
    assert await desk.pass_time(0.1) != []


async def test_while_the_servers_are_down_the_last_answer_is_used_and_logged_once(desk):
    await desk.adopt(SINGLE)
    desk.server.mood = Mood.FAILING
    with structlog.testing.capture_logs() as lines:
        for _ in range(5):
            assert await desk.pass_time(60)
            assert desk.directory.addresses(SINGLE) == FOUND
        desk.server.mood = Mood.HELPFUL
        assert await desk.pass_time(60)
    assert [(line["log_level"], line["event"]) for line in lines] == [
        ("warning", "gateway_name_lost"),
        ("info", "gateway_name_found"),
    ]
    assert "SERVFAIL" in lines[0]["why"]
    assert lines[0]["still_used"] == ["192.0.2.9"]


async def test_a_failure_is_kept_short_and_then_twice_as_long(desk):
    desk.server.mood = Mood.FAILING
    await desk.adopt(SINGLE)
    for wait_s in (5, 10, 20, 40, 60, 60):
        assert await desk.pass_time(wait_s - 0.001) == []
        assert await desk.pass_time(0.001) == ["A", "AAAA"]


async def test_an_answer_that_is_too_old_is_used_no_longer(server):
    desk = Desk(server, stale_s=600)
    await desk.adopt(SINGLE)
    server.mood = Mood.FAILING
    await desk.pass_time(599)
    assert desk.directory.addresses(SINGLE) == FOUND
    with structlog.testing.capture_logs() as lines:
        await desk.pass_time(61)
    assert desk.directory.addresses(SINGLE) == ()
    assert desk.directory.hosts() == frozenset()
    assert (lines[0]["event"], lines[0]["why"]) == ("name_expired", "the last answer is too old")


async def test_a_name_that_was_taken_out_of_the_zone_is_gone(desk):
    await desk.adopt(SINGLE)
    desk.server.remove("single.example.net")
    await desk.pass_time(60)
    assert desk.directory.addresses(SINGLE) == ()


async def test_a_name_that_leads_nowhere_is_soon_asked_for_again(desk):
    """Name servers say for a moment that it does not exist; its calls would fail for five minutes."""
    await desk.adopt(SINGLE)
    desk.server.remove("single.example.net")
    assert await desk.pass_time(54)
    waits_s = (4.5, 9, 18, 36, 54)  # a tenth before the answer runs out
    for wait_s in waits_s:
        assert await desk.pass_time(wait_s - 0.001) == []
        assert await desk.pass_time(0.001) == ["A", "AAAA"]
    desk.server.put("single.example.net 60 A 192.0.2.9")
    assert await desk.pass_time(54)
    assert desk.directory.addresses(SINGLE) == FOUND
    assert await desk.pass_time(53.9) == []


async def test_that_no_address_is_used_any_more_is_told_also_where_the_name_servers_failed_before(desk):
    await desk.adopt(SINGLE)
    with structlog.testing.capture_logs() as lines:
        desk.server.mood = Mood.FAILING
        await desk.pass_time(60)
        desk.server.mood = Mood.HELPFUL
        desk.server.remove("single.example.net")
        for _ in range(3):
            await desk.pass_time(60)
    assert [(line["event"], line["still_used"]) for line in lines] == [
        ("gateway_name_lost", ["192.0.2.9"]),
        ("gateway_name_lost", []),
    ]


async def test_without_knowing_its_services_a_name_is_not_guessed_at(desk):
    """A domain's own address is rarely its SIP server: it stands in only where DNS says that there are no services."""
    desk.server.put("example.net 60 A 192.0.2.80")
    desk.server.failing.add(RecordType.SRV)
    await desk.adopt(CARRIER)
    assert desk.directory.addresses(CARRIER) == ()


async def test_what_is_known_of_a_new_name_is_used_though_some_server_of_it_is_not_found(desk):
    desk.server.failing.add(RecordType.AAAA)
    await desk.adopt(CARRIER)
    assert [each.host for each in desk.directory.addresses(CARRIER)] == ["192.0.2.1", "192.0.2.2"]
    desk.server.failing.clear()
    await desk.pass_time(5)
    assert len(desk.directory.addresses(CARRIER)) == 3


async def test_what_was_known_in_full_is_not_replaced_by_a_part_of_it(desk):
    await desk.adopt(CARRIER)
    desk.server.failing.add(RecordType.AAAA)
    await desk.pass_time(90)
    assert len(desk.directory.addresses(CARRIER)) == 3


@pytest.mark.parametrize(
    ("kinds", "names"), [({RecordType.AAAA}, set()), (set(), {"c.example.net"})], ids=["a family", "a server"]
)
async def test_what_is_answered_is_followed_while_one_question_fails(server, kinds, names):
    """The last answer stands for the one that fails until it is too old; the others are as DNS says now."""
    desk = Desk(server, stale_s=600)
    await desk.adopt(CARRIER)
    server.failing |= kinds
    server.lame |= names
    server.remove("a.example.net")
    server.put("a.example.net 100 A 192.0.2.77")
    name = HostName("example.net", None)
    await desk.pass_time(90)
    assert [each.host for each in desk.directory.addresses(CARRIER)] == ["192.0.2.77", "192.0.2.2", "2001:db8::3"]
    assert desk.directory.sources(name) == ["192.0.2.2", "192.0.2.77", "2001:db8::3"]
    server.remove("b.example.net")
    server.put("b.example.net 100 A 192.0.2.78")
    with structlog.testing.capture_logs() as lines:
        for _ in range(20):
            await desk.pass_time(60)
    assert [each.host for each in desk.directory.addresses(CARRIER)] == ["192.0.2.77", "192.0.2.78"]
    assert desk.directory.hosts() == {"192.0.2.77", "192.0.2.78"}
    assert lines == []
    server.failing.clear()
    server.lame.clear()
    await desk.pass_time(60)
    assert len(desk.directory.addresses(CARRIER)) == 3


async def test_a_name_that_was_never_known_in_full_follows_what_is_answered(desk):
    desk.server.lame.add("c.example.net")
    await desk.adopt(CARRIER)
    desk.server.remove("a.example.net")
    await desk.pass_time(60)
    assert [each.host for each in desk.directory.addresses(CARRIER)] == ["192.0.2.2"]


async def test_while_new_services_of_a_name_are_not_found_the_last_ones_are_used(server):
    desk = Desk(server, stale_s=600)
    await desk.adopt(CARRIER)
    server.remove("example.net")
    server.put('example.net 600 NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp.example.net.')
    server.lame.add("_sip._tcp.example.net")
    await desk.pass_time(599)
    assert len(desk.directory.addresses(CARRIER)) == 3
    await desk.pass_time(60)
    assert desk.directory.addresses(CARRIER) == ()


async def test_while_no_address_of_new_services_is_found_the_last_ones_are_used(server):
    desk = Desk(server, stale_s=600)
    name, last = HostName("example.net", None), ["192.0.2.1", "192.0.2.2", "2001:db8::3"]
    await desk.adopt(CARRIER)
    server.remove("_sip._udp.example.net")
    server.put("_sip._udp.example.net 300 SRV 10 1000 5062 new.example.net.")
    server.put("new.example.net 100 A 192.0.2.50")
    server.lame.add("new.example.net")
    with structlog.testing.capture_logs() as lines:
        await desk.pass_time(300)
        await desk.pass_time(300)
    assert [each.host for each in desk.directory.addresses(CARRIER)] == last
    assert desk.directory.sources(name) == last
    assert [(line["event"], line["still_used"]) for line in lines] == [(Event.GATEWAY_NAME_LOST, last)]
    server.lame.clear()
    await desk.pass_time(60)
    assert [each.host for each in desk.directory.addresses(CARRIER)] == ["192.0.2.50"]
    assert desk.directory.sources(name) == ["192.0.2.50"]


@pytest.mark.parametrize(
    "services", ["_sip._udp.example.net 300 SRV 10 1000 5062 example.net.", ""], ids=["SRV", "none"]
)
async def test_a_domain_that_becomes_its_own_server_keeps_the_last_ones_while_its_address_is_not_found(desk, services):
    """That its NAPTR or SRV was known says nothing about its address, which was asked for the first time."""
    await desk.adopt(CARRIER)
    last = desk.directory.addresses(CARRIER)
    desk.server.remove("_sip._udp.example.net")
    if services:
        desk.server.put(services)
    desk.server.failing |= {RecordType.A, RecordType.AAAA}
    await desk.pass_time(300)
    assert desk.directory.addresses(CARRIER) == last
    desk.server.failing.clear()
    desk.server.put("example.net 60 A 192.0.2.80")
    await desk.pass_time(60)
    assert [each.host for each in desk.directory.addresses(CARRIER)] == ["192.0.2.80"]


async def test_an_address_that_was_removed_is_not_used_though_the_question_for_the_other_family_always_fails(desk):
    desk.server.failing.add(RecordType.AAAA)
    await desk.adopt(SINGLE)
    assert desk.directory.addresses(SINGLE) == FOUND
    desk.server.remove("single.example.net")
    with structlog.testing.capture_logs() as lines:
        await desk.pass_time(60)
    assert desk.directory.addresses(SINGLE) == ()
    assert desk.directory.hosts() == frozenset()
    assert desk.directory.sources(HostName("single.example.net", 5070)) == []
    assert (lines[0]["event"], lines[0]["why"]) == ("name_expired", "it has no address any more")


async def test_a_service_whose_host_has_no_address_any_more_has_none_though_another_family_fails(desk):
    desk.server.failing.add(RecordType.AAAA)
    await desk.adopt(CARRIER)
    desk.server.remove("a.example.net")
    desk.server.remove("b.example.net")
    await desk.pass_time(300)
    assert desk.directory.addresses(CARRIER) == ()
    assert desk.directory.sources(HostName("example.net", None)) == []


@pytest.mark.parametrize("is_always", [True, False], ids=["always", "at the address of the domain"])
async def test_servers_that_a_domain_has_withdrawn_are_not_used_though_a_family_fails_that_has_none(desk, is_always):
    """The address of the domain itself is asked for the first time then."""
    desk.server.remove("c.example.net")
    if is_always:
        desk.server.failing.add(RecordType.AAAA)
    await desk.adopt(CARRIER)
    assert [each.host for each in desk.directory.addresses(CARRIER)] == ["192.0.2.1", "192.0.2.2"]
    desk.server.failing.add(RecordType.AAAA)
    desk.server.remove("_sip._udp.example.net")
    desk.server.remove("example.net")
    await desk.pass_time(300)
    assert desk.directory.addresses(CARRIER) == ()
    assert desk.directory.sources(HostName("example.net", None)) == []


async def test_the_background_looks_up_what_is_due_and_ends_with_its_lookups(desk, monkeypatch):
    monkeypatch.setattr(directory_module, "LOOK_S", 0)
    await desk.adopt(SINGLE)
    asked = len(desk.server.asked)
    watching = asyncio.create_task(desk.directory.run())
    desk.server.mood = Mood.SILENT
    desk.clock.move_to(desk.clock.now().mono + 60_000)
    await asyncio.wait_for(desk.server.until_asked(asked + 1), 30)
    watching.cancel()
    await asyncio.wait_for(asyncio.wait([watching]), WITHOUT_SERVER_S)
    await asyncio.wait_for(desk.directory.settled(), WITHOUT_SERVER_S)
    assert desk.directory.addresses(SINGLE) == FOUND


async def test_an_error_in_the_switch_is_logged_and_the_name_looked_up_again(desk, monkeypatch):
    async def stumble(_question):
        raise ZeroDivisionError

    monkeypatch.setattr(desk.resolver, "ask", stumble)
    with structlog.testing.capture_logs() as lines:
        await desk.adopt(SINGLE)
    assert lines[0]["log_level"] == "error"
    monkeypatch.undo()
    await desk.pass_time(5)
    assert desk.directory.addresses(SINGLE) == FOUND


async def test_a_lookup_that_takes_too_long_is_given_up_and_tried_again(desk, monkeypatch):
    monkeypatch.setattr(lookup, "LOOKUP_S", 0.01)
    desk.server.mood = Mood.SILENT
    with structlog.testing.capture_logs() as lines:
        await desk.adopt(SINGLE)
    assert lines[0]["why"] == "not done after 0.01 s: are the name servers silent?"
    desk.server.mood = Mood.HELPFUL
    monkeypatch.undo()
    await desk.pass_time(5)
    assert desk.directory.addresses(SINGLE) == FOUND


@pytest.mark.parametrize(
    ("interface", "found"),
    [
        (None, {"192.0.2.1", "192.0.2.2", "2001:db8::3"}),
        ("udp:192.0.2.100:5060", {"192.0.2.1", "192.0.2.2"}),
        ("udp:[2001:db8::100]:5060", {"2001:db8::3"}),
    ],
)
async def test_a_gateway_with_an_interface_has_the_addresses_of_its_family_alone(desk, interface, found):
    dialect = CalleeDialect(interface=interface)
    gateway = routing_gateway("carrier", addresses=(Address("example.net", None),), dialect=dialect)
    await desk.adopt(gateway)
    assert {each.host for each in desk.directory.addresses(gateway)} == found
    assert desk.directory.knows(gateway)


async def test_a_gateway_whose_name_has_no_address_of_the_family_of_its_interface_is_not_known(desk):
    dialect = CalleeDialect(interface="tcp:[2001:db8::100]:5060")
    gateway = routing_gateway("single", addresses=SINGLE.addresses, dialect=dialect)
    await desk.adopt(gateway)
    assert (desk.directory.addresses(gateway), desk.directory.knows(gateway)) == ((), False)


# -- names in dialogs -------------------------------------------------------------------------------------------


async def test_a_name_of_a_dialog_is_known_the_next_time(desk):
    hop = Hop("Single.Example.NET", None, None)
    assert desk.directory.locate(hop, ELSEWHERE) is None
    await desk.directory.settled()
    assert desk.directory.locate(hop, ELSEWHERE) == Hop("192.0.2.9", 5060, None)


async def test_the_requests_of_one_dialog_go_to_one_server_the_heaviest(desk):
    found = await desk.locate(Hop("example.net", None, None))
    assert found == Hop("192.0.2.2", 5062, "udp")
    assert all(desk.directory.locate(Hop("example.net", None, None), ELSEWHERE) == found for _ in range(20))


@pytest.mark.parametrize(("port", "served_at"), [(5060, 5060), (5070, 5070), (40_000, 5070)])
async def test_of_the_servers_of_a_name_at_one_host_that_is_meant_whose_port_was_seen(desk, port, served_at):
    """RFC 2782: a server is a target with its port. Of a connection that the peer has opened the port says nothing."""
    desk.server.put("_sip._udp.two.test. 60 SRV 1 1 5060 h.test.")
    desk.server.put("_sip._udp.two.test. 60 SRV 1 2 5070 h.test.")
    desk.server.put("h.test. 60 A 192.0.2.1")
    name = Hop("two.test", None, "udp")
    await desk.locate(name)
    assert desk.directory.locate(name, Peer(0, "192.0.2.1", port)) == Hop("192.0.2.1", served_at, "udp")


async def test_the_requests_of_a_dialog_go_to_the_server_of_its_name_at_which_the_peer_was_seen(desk):
    name = Hop("example.net", None, None)
    await desk.locate(name)
    assert desk.directory.locate(name, Peer(0, "192.0.2.1", 5062)) == Hop("192.0.2.1", 5062, "udp")
    assert desk.directory.locate(name, Peer(1, "2001:db8::3", 40_000)) == Hop("2001:db8::3", 5064, "udp")


async def test_what_is_known_of_a_gateway_is_known_in_its_dialogs(desk):
    await desk.adopt(CARRIER)
    asked = len(desk.server.asked)
    assert desk.directory.locate(Hop("example.net", None, None), ELSEWHERE) == Hop("192.0.2.2", 5062, "udp")
    assert len(desk.server.asked) == asked


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "no name", "", "a" * 300])
async def test_what_is_no_name_is_not_asked_for(desk, host):
    assert await desk.locate(Hop(host, None, None)) is None
    assert desk.server.asked == []


async def test_a_name_of_a_dialog_that_does_not_exist_is_not_asked_for_again_at_once(desk):
    with structlog.testing.capture_logs() as lines:
        assert await desk.locate(Hop("gone.example.net", 5060, None)) is None
    asked = len(desk.server.asked)
    desk.clock.move_to(desk.clock.now().mono + 60_000)
    assert await desk.locate(Hop("gone.example.net", 5060, None)) is None
    assert len(desk.server.asked) == asked
    assert lines == []


async def test_an_old_answer_serves_a_dialog_while_a_new_one_is_fetched(desk):
    hop = Hop("single.example.net", 5060, None)
    await desk.locate(hop)
    desk.clock.move_to(desk.clock.now().mono + 60_000)
    asked = len(desk.server.asked)
    assert desk.directory.locate(hop, ELSEWHERE) == Hop("192.0.2.9", 5060, None)
    await desk.directory.settled()
    assert len(desk.server.asked) > asked


async def test_a_peer_cannot_make_us_ask_for_many_names_at_once(desk):
    for index in range(1_000):
        desk.directory.locate(Hop(f"n{index}.evil.example", 5060, None), ELSEWHERE)
    await desk.directory.settled()
    assert len({question.name for question in desk.server.asked}) == directory_module.DIALOG_LOOKUPS_PER_S
    desk.clock.move_to(desk.clock.now().mono + 1_000)
    assert await desk.locate(Hop("single.example.net", 5060, None)) == Hop("192.0.2.9", 5060, None)


async def test_slow_servers_leave_room_for_few_names_of_dialogs(desk):
    desk.server.mood = Mood.SILENT
    for index in range(100):
        desk.directory.locate(Hop(f"n{index}.evil.example", 5060, None), ELSEWHERE)
        desk.clock.move_to(desk.clock.now().mono + 1_000)
    await asyncio.wait_for(desk.server.until_asked(directory_module.DIALOG_LOOKUPS_MAX), 30)
    assert len({question.name for question in desk.server.asked}) <= directory_module.DIALOG_LOOKUPS_MAX
    with pytest.raises(asyncio.CancelledError):
        await end(desk.directory)


async def end(directory: NameDirectory) -> None:
    """Run the background until it is cancelled, which gives up every lookup."""
    task = asyncio.create_task(directory.run())
    await asyncio.sleep(0)
    task.cancel()
    await task


async def test_names_of_dialogs_of_an_earlier_run_are_known_when_these_go_on_the_most_frequent_first(desk, monkeypatch):
    monkeypatch.setattr(directory_module, "EARLIER_NAMES_MAX", 2)
    await desk.adopt(SINGLE)
    rare, frequent, address = Hop("d.example.net", 5060, None), Hop("E.example.net.", 5060, None), "192.0.2.7"
    watched = Hop("single.example.net", 5070, "tcp")
    before = len(desk.server.asked)
    await desk.directory.look_up_earlier(
        [rare, frequent, watched, frequent, Hop(address, 5060, None), watched, watched]
    )
    assert {question.name for question in desk.server.asked[before:]} == {"e.example.net"}
    assert desk.directory.locate(frequent, ELSEWHERE) == Hop("192.0.2.9", 5060, None)
    assert desk.directory.locate(rare, ELSEWHERE) is None
    await desk.directory.settled()


async def test_a_start_waits_for_no_name_of_a_dialog_for_long(desk, monkeypatch):
    monkeypatch.setattr(directory_module, "EARLIER_LOOKUP_S", 0.05)
    desk.server.mood = Mood.SILENT
    name = Hop("d.example.net", 5060, None)
    await asyncio.wait_for(desk.directory.look_up_earlier([name]), WITHOUT_SERVER_S)
    assert desk.directory.locate(name, ELSEWHERE) is None
    with pytest.raises(asyncio.CancelledError):
        await end(desk.directory)


async def test_names_of_dialogs_are_remembered_within_bounds(desk, monkeypatch):
    monkeypatch.setattr(directory_module, "DIALOG_NAMES_MAX", 2)
    for name in ("single", "a", "b"):
        await desk.locate(Hop(f"{name}.example.net", 5060, None))
    asked = len(desk.server.asked)
    assert desk.directory.locate(Hop("b.example.net", 5060, None), ELSEWHERE) is not None
    assert desk.directory.locate(Hop("a.example.net", 5060, None), ELSEWHERE) is not None
    assert len(desk.server.asked) == asked
    assert desk.directory.locate(Hop("single.example.net", 5060, None), ELSEWHERE) is None
    await desk.directory.settled()


def test_a_switch_uses_the_transports_of_its_sockets():
    listen = [
        SipListener("tls", "2001:db8::1", 5061),
        SipListener("udp", "192.0.2.1", 5060),
        SipListener("udp", "::1", 5060),
    ]
    assert means_of(listen) == UsableTransports({"udp": (RecordType.A, RecordType.AAAA), "tls": (RecordType.AAAA,)})
