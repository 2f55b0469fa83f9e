"""Which name the certificate at an address must have, where peers use names that lead to it (RFC 5922)."""

import pytest
from doubles.data.builders import routing_gateway
from doubles.virtual.clock import ManualClock

from vosd.base.credentials import Login
from vosd.base.secret import Secret
from vosd.engine.peers.directory import NameDirectory
from vosd.engine.settings import DnsSettings
from vosd.sip.flows import Hop
from vosd.sip.locate import DnsAnswer, DnsQuestion, RecordType, UsableTransports
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.gateways import Address, Registration

HOST = "192.0.2.9"
ELSEWHERE = "203.0.113.66"
BY_ADDRESS = Address(HOST, 5061, "tls")
BY_NAME = Address("vendor.example", 5061, "tls")
AT_THAT_ADDRESS = Registration(BY_ADDRESS, "vendor.example", "alice", "alice", Login("alice", Secret("x")))
EVIL = Hop("evil.example", 5061, "tls")
GENUINE = Hop("genuine.example", 5061, "tls")


class OneAddress:
    """A name server where every name leads to the same address."""

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        return DnsAnswer((HOST,) if question.kind is RecordType.A else (), 60)


@pytest.fixture
def directory() -> NameDirectory:
    return NameDirectory(OneAddress(), ManualClock(), UsableTransports({"tls": (RecordType.A,)}), DnsSettings())


async def use(directory: NameDirectory, hop: Hop, seen_at: str) -> None:
    """Let a peer use a name in two dialogs."""
    directory.locate(hop, Peer(0, seen_at, 5061))
    await directory.settled()
    assert directory.locate(hop, Peer(0, seen_at, 5061)) == Hop(HOST, 5061, "tls")


@pytest.mark.parametrize(
    "gateway",
    [
        routing_gateway("plain", addresses=(BY_ADDRESS,)),
        routing_gateway("beside", addresses=(Address("192.0.2.1", 5060), BY_ADDRESS)),
        routing_gateway("registered", addresses=(Address("192.0.2.1", 5060),), registration=AT_THAT_ADDRESS),
    ],
    ids=lambda gateway: gateway.name,
)
async def test_a_name_of_a_dialog_names_no_address_that_is_configured(directory, gateway):
    await directory.adopt([gateway])
    await use(directory, EVIL, HOST)
    assert not directory.names_to(HOST)
    await directory.adopt([])
    assert [*directory.names_to(HOST)] == [EVIL.host]


async def test_a_name_of_a_gateway_counts_at_its_addresses_whatever_dialogs_say(directory):
    gateways = [routing_gateway("named", addresses=(BY_NAME,)), routing_gateway("plain", addresses=(BY_ADDRESS,))]
    await directory.adopt(gateways)
    await use(directory, EVIL, HOST)
    assert [*directory.names_to(HOST)] == [BY_NAME.host]
    await directory.adopt(gateways[:1])
    assert [*directory.names_to(HOST)] == [BY_NAME.host]


@pytest.mark.parametrize("order", [(EVIL, GENUINE, EVIL), (GENUINE, EVIL, EVIL), (EVIL, EVIL, GENUINE)])
async def test_of_two_names_at_an_address_that_of_a_peer_seen_there_counts(directory, order):
    for hop in order:
        await use(directory, hop, HOST if hop is GENUINE else ELSEWHERE)
    assert [*directory.names_to(HOST)] == [GENUINE.host]


async def test_a_peer_elsewhere_that_uses_the_same_name_changes_nothing(directory):
    for hop, seen_at in ((GENUINE, ELSEWHERE), (GENUINE, HOST), (GENUINE, ELSEWHERE), (EVIL, ELSEWHERE)):
        await use(directory, hop, seen_at)
    assert [*directory.names_to(HOST)] == [GENUINE.host]


async def test_of_two_names_whose_peers_were_seen_elsewhere_the_one_used_last_counts(directory):
    for hop in (EVIL, GENUINE):
        await use(directory, hop, ELSEWHERE)
        assert [*directory.names_to(HOST)] == [hop.host]
