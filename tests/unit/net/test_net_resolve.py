"""Questions to real name servers on loopback: which is asked, how, and that nothing holds the loop up."""

import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import IPv6Address
from pathlib import Path

import dns.message
import dns.resolver
import pytest
from doubles.nameserver import Mood, NameServer
from doubles.turns import turns

from vosd.net import resolve
from vosd.net.resolve import NameServerResolver, system_name_servers
from vosd.sip.locate import DnsAnswer, DnsQuestion, NoAnswerError, RecordType, Srv

ZONE = """
sip.example.net 60 A 192.0.2.1
sip.example.net 60 AAAA 2001:db8::1
www.example.net 30 CNAME sip.example.net.
_sip._udp.example.net 90 SRV 10 20 5062 sip.example.net.
"""
A = DnsQuestion(RecordType.A, "sip.example.net")
FOUND = DnsAnswer(("192.0.2.1",), 60)
SOON_MS = 50
"""For a server that stays silent, where no other has to answer within the same time."""
ANSWERED_MS = 1_000
"""For a silent server beside one that answers from the loop of this process: on a busy machine that takes a while."""
PATIENT_MS = 5_000


def descriptors() -> int:
    """Return how many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer(ZONE) as server:
        yield server


@pytest.fixture
async def other() -> AsyncIterator[NameServer]:
    async with NameServer(ZONE) as other:
        yield other


async def test_each_kind_of_record_is_found(server):
    resolver = NameServerResolver([server.address], PATIENT_MS, 1)
    assert await resolver.ask(A) == FOUND
    assert await resolver.ask(DnsQuestion(RecordType.AAAA, "sip.example.net")) == DnsAnswer(("2001:db8::1",), 60)
    assert await resolver.ask(DnsQuestion(RecordType.A, "www.example.net")) == DnsAnswer(("192.0.2.1",), 30)
    assert await resolver.ask(DnsQuestion(RecordType.SRV, "_sip._udp.example.net")) == DnsAnswer(
        (Srv(10, 20, 5062, "sip.example.net"),), 90
    )


async def test_what_does_not_exist_is_an_answer_without_records(server):
    resolver = NameServerResolver([server.address], PATIENT_MS, 1)
    assert await resolver.ask(DnsQuestion(RecordType.A, "gone.example.net")) == DnsAnswer((), 120)
    assert await resolver.ask(DnsQuestion(RecordType.NAPTR, "sip.example.net")) == DnsAnswer((), 120)


async def test_a_name_server_may_have_an_ipv6_address():
    async with NameServer(ZONE, "::1") as server:
        assert await NameServerResolver([server.address], PATIENT_MS, 1).ask(A) == FOUND


def addresses_of_links() -> list[str]:
    """Return the addresses of the interfaces' links, with their zones."""
    fields = [line.split() for line in Path("/proc/net/if_inet6").read_text().splitlines()]
    return [f"{IPv6Address(bytes.fromhex(each[0]))}%{each[-1]}" for each in fields if each[0].startswith("fe80")]


@pytest.mark.skipif(not addresses_of_links(), reason="no interface has an address of its link")
async def test_a_name_server_may_have_an_address_of_one_link():
    """Routers announce such ones, and resolv.conf has them with a zone."""
    async with NameServer(ZONE, addresses_of_links()[0]) as server:
        assert await NameServerResolver([server.address], PATIENT_MS, 1).ask(A) == FOUND


async def test_an_answer_that_is_cut_off_is_fetched_by_tcp(server):
    server.mood = Mood.CURT
    assert await NameServerResolver([server.address], PATIENT_MS, 1).ask(A) == FOUND
    assert server.asked == server.asked_by_stream == [A]


async def test_a_server_that_does_not_know_edns_is_asked_without_it(server):
    server.mood = Mood.OLD
    assert await NameServerResolver([server.address], PATIENT_MS, 1).ask(A) == FOUND
    assert server.asked == [A, A]


async def test_a_silent_server_gives_way_to_the_next(server, other):
    server.mood = Mood.SILENT
    assert await NameServerResolver([server.address, other.address], ANSWERED_MS, 1).ask(A) == FOUND
    assert (len(server.asked), len(other.asked)) == (1, 1)


@pytest.mark.parametrize("mood", [Mood.FAILING, Mood.SILENT])
async def test_the_server_that_answered_last_is_asked_first(server, other, mood):
    server.mood = mood
    resolver = NameServerResolver([server.address, other.address], ANSWERED_MS, 1)
    await resolver.ask(A)
    assert await resolver.ask(A) == FOUND
    assert (len(server.asked), len(other.asked)) == (1, 2)


async def test_servers_that_all_fail_are_named_after_every_attempt(server, other):
    server.mood, other.mood = Mood.SILENT, Mood.FAILING
    with pytest.raises(NoAnswerError) as failed:
        await NameServerResolver([server.address, other.address], ANSWERED_MS, 2).ask(A)
    (host, first), (_, second) = server.address, other.address
    assert str(failed.value) == (
        f"A sip.example.net: {host} port {first}: silent for 1 s; {host} port {second}: SERVFAIL"
    )
    assert (len(server.asked), len(other.asked)) == (2, 2)


async def test_a_closed_port_fails_at_once():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    with pytest.raises(NoAnswerError, match="refused"):
        await asyncio.wait_for(NameServerResolver([address], 60_000, 1).ask(A), 60)


async def test_a_forged_answer_is_passed_over_and_the_real_one_taken(server):
    """A wrong identifier and a message that is no response do not end the wait."""

    def forge(query: bytes) -> bytes:
        real = dns.message.make_response(dns.message.from_wire(query))
        real.answer.append(dns.rrset.from_text("sip.example.net.", 60, "IN", "A", "192.0.2.66"))
        wire = real.to_wire()
        return bytes([wire[0] ^ 0xFF]) + wire[1:]

    server.forge = forge
    with pytest.raises(NoAnswerError, match="silent"):
        await NameServerResolver([server.address], SOON_MS, 1).ask(A)
    server.forge = lambda _: b"junk"
    with pytest.raises(NoAnswerError, match="silent"):
        await NameServerResolver([server.address], SOON_MS, 1).ask(A)


async def test_an_answer_about_something_else_is_refused(server):
    def forge(query: bytes) -> bytes:
        response = dns.message.make_response(dns.message.make_query("evil.example", "A"))
        response.id = dns.message.from_wire(query).id
        return response.to_wire()

    server.forge = forge
    with pytest.raises(NoAnswerError, match="another question"):
        await NameServerResolver([server.address], PATIENT_MS, 1).ask(A)


async def test_thousands_of_records_are_refused_by_datagram_and_by_stream(server):
    for index in range(2_000):
        server.put(f"huge.example.net 60 A 10.0.{index // 256}.{index % 256}")
    resolver = NameServerResolver([server.address], PATIENT_MS, 1)
    with pytest.raises(NoAnswerError, match="more than 4096 bytes"):
        await resolver.ask(DnsQuestion(RecordType.A, "huge.example.net"))
    server.mood = Mood.CURT
    with pytest.raises(NoAnswerError, match="more than 4096 bytes"):
        await resolver.ask(DnsQuestion(RecordType.A, "huge.example.net"))


async def test_a_connection_that_ends_in_the_middle_is_a_failure(server):
    server.mood = Mood.ABRUPT
    with pytest.raises(NoAnswerError, match="cut off"):
        await NameServerResolver([server.address], PATIENT_MS, 1).ask(A)


async def test_a_connection_that_brings_something_else_is_a_failure(server):
    def forge(query: bytes) -> bytes:
        truncated = query[:2] + b"\x82\x00" + bytes(8)
        return b"\0\0" + truncated[2:] if server.asked_by_stream else truncated

    server.forge = forge
    with pytest.raises(NoAnswerError, match="another question"):
        await NameServerResolver([server.address], PATIENT_MS, 1).ask(A)


async def test_a_server_that_the_kernel_does_not_let_us_reach_gives_way_to_the_next(server):
    assert await NameServerResolver([("255.255.255.255", 53), server.address], PATIENT_MS, 1).ask(A) == FOUND


async def test_a_name_that_cannot_be_asked_for_is_a_failure_and_no_error_of_the_switch(server):
    with pytest.raises(NoAnswerError):
        await NameServerResolver([server.address], PATIENT_MS, 1).ask(
            DnsQuestion(RecordType.SRV, f"_sip._udp.{'a' * 63}." * 5)
        )
    assert server.asked == []


async def test_a_question_that_is_given_up_leaves_no_socket_behind(server):
    """At whatever step of the event loop that happens."""
    server.mood = Mood.SILENT
    resolver = NameServerResolver([server.address], PATIENT_MS, 1)
    before = descriptors()
    for steps in range(12):
        asking = asyncio.create_task(resolver.ask(A))
        await turns(steps)
        asking.cancel()
        await asyncio.wait([asking])
        assert descriptors() == before, steps


async def test_while_servers_are_silent_everything_else_goes_on(server):
    server.mood = Mood.SILENT
    asking = asyncio.create_task(NameServerResolver([server.address], PATIENT_MS, 1).ask(A))
    turns = 0
    while not server.asked:
        turns += 1
        await asyncio.sleep(0)
    assert turns > 1
    assert not asking.done()
    asking.cancel()


async def test_without_servers_those_of_the_operating_system_are_asked_as_they_are_then(server, monkeypatch):
    monkeypatch.setattr(resolve, "system_name_servers", lambda: [server.address])
    assert await NameServerResolver((), PATIENT_MS, 1).ask(A) == FOUND


def test_the_servers_of_the_operating_system_are_those_of_its_file(monkeypatch, tmp_path: Path):
    file = tmp_path / "resolv.conf"
    file.write_text("# written by hand\nsearch example.net\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n")
    monkeypatch.setattr(dns.resolver.Resolver.__init__, "__defaults__", (str(file), True))
    assert system_name_servers() == [("192.0.2.53", 53), ("2001:db8::53", 53)]
    file.unlink()
    assert system_name_servers() == [("127.0.0.1", 53)]
