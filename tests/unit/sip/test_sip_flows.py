"""Choice of a socket, next hop of a URI, and our addresses as announced to peers (RFC 3261 sections 18 and 19)."""

import pytest
from doubles.virtual.probe import CUSTOMER, SDP, VENDOR, Keeper, Probe, reply, request

from vosd.base.nat import Nat
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.flows import Flows, Hop, Listener, hop_of
from vosd.sip.wire.outgoing import Peer

UDP, TCP, TLS, UDP6, TCP6 = range(5)
LISTENERS = (
    Listener("192.0.2.1", 5060, "udp", "udp:192.0.2.1:5060"),
    Listener("192.0.2.1", 5060, "tcp", "tcp:192.0.2.1:5060"),
    Listener("192.0.2.1", 5061, "tls", "tls:192.0.2.1:5061"),
    Listener("2001:db8::1", 5060, "udp", "udp:[2001:db8::1]:5060"),
    Listener("2001:db8::1", 5060, "tcp", "tcp:[2001:db8::1]:5060"),
)
SEEN_UDP = Peer(UDP, "198.51.100.7", 5080)
SEEN_TCP = Peer(TCP, "198.51.100.7", 40_000)
SEEN_TLS = Peer(TLS, "198.51.100.7", 40_000)


def flows(listeners=LISTENERS, locate=lambda hop, _: None) -> Flows:
    return Flows(listeners, lambda: "token", locate)


# -- what a URI says ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "hop"),
    [
        ("sip:a@198.51.100.9", Hop("198.51.100.9", None, None)),
        ("sip:a@198.51.100.9:5070", Hop("198.51.100.9", 5070, None)),
        ("sip:a@[2001:db8::9]:5070", Hop("2001:db8::9", 5070, None)),
        ("sip:a@example.com", Hop("example.com", None, None)),
        ("sip:a@h;transport=TCP", Hop("h", None, "tcp")),
        ("sip:a@h;transport=tls", Hop("h", None, "tls")),
        ("sip:a@h;transport=sctp", Hop("h", None, None)),
        ("sip:a@h;transport=ws", Hop("h", None, "ws")),
        ("sip:a@h;transport", Hop("h", None, None)),
        ("sips:a@h", Hop("h", None, "tls")),
        ("sips:a@h:5070;transport=tcp", Hop("h", 5070, "tls")),
        ("sip:a@h;maddr=192.0.2.77", Hop("192.0.2.77", None, None)),
        ("sip:a@h:5070;maddr=[2001:db8::7];transport=tcp", Hop("2001:db8::7", 5070, "tcp")),
        ("sip:a@[2001:DB8:0::0009]", Hop("2001:db8::9", None, None)),
        ("sip:a@h;maddr=2001:db8::7", Hop("2001:db8::7", None, None)),
        ("sip:a@h;maddr=2001:db8::7%\udcff", None),
        ("sip:a@h;maddr=2001:db8::7%\0", None),
        ("sip:a@h;maddr=fe80::7%eth0", None),
        ("sip:a;transport=tcp@h", Hop("h", None, None)),
        ('"a <b>" <sip:h;transport=tcp>', Hop("h", None, "tcp")),
        ('"a \\" <sip:b@x>" <sip:h>', Hop("h", None, None)),
        ('"Edge" <sip:h;lr;transport=tcp>;transport=udp', Hop("h", None, "tcp")),
        ("tel:4420", None),
        ("mailto:a@b", None),
        ("<sip:a@h", Hop("h", None, None)),
        ("<>", None),
        ("", None),
    ],
)
def test_the_next_hop_is_read_from_a_uri_or_route(target, hop):
    """Section 19.1.1: maddr overrides the host; section 26.2.2: sips means TLS."""
    assert hop_of(target) == hop


# -- the next hop -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "peer"),
    [
        ("sip:a@198.51.100.9:5070", Peer(UDP, "198.51.100.9", 5070)),
        ("sip:a@198.51.100.9", Peer(UDP, "198.51.100.9", 5060)),
        ("sip:a@198.51.100.9;transport=udp", Peer(UDP, "198.51.100.9", 5060)),
        ("sip:a@198.51.100.9;transport=tcp", Peer(TCP, "198.51.100.9", 5060)),
        ("sip:a@198.51.100.7;transport=tcp", Peer(TCP, "198.51.100.7", 5060)),
        ("sip:a@198.51.100.9;transport=tls", Peer(TLS, "198.51.100.9", 5061)),
        ("sips:a@198.51.100.9", Peer(TLS, "198.51.100.9", 5061)),
        ("sips:a@198.51.100.9:5070", Peer(TLS, "198.51.100.9", 5070)),
        ("sip:a@example.com;maddr=198.51.100.9", Peer(UDP, "198.51.100.9", 5060)),
        ("sip:a@198.51.100.7", Peer(UDP, "198.51.100.7", 5060)),
        ("sip:a@[2001:db8::9]", SEEN_UDP),
        ("sip:a@[::ffff:198.51.100.9]:5070", Peer(UDP, "198.51.100.9", 5070)),
        (f"sip:a@{LISTENERS[UDP].sent_by}", SEEN_UDP),
        (f"sip:a@{LISTENERS[TCP].sent_by};transport=tcp", SEEN_UDP),
        (f"sip:a@{LISTENERS[UDP].host}:5070", Peer(UDP, LISTENERS[UDP].host, 5070)),
        ("sip:a@example.com", SEEN_UDP),
        ("tel:4420", SEEN_UDP),
        ("nonsense", SEEN_UDP),
    ],
)
def test_a_request_goes_to_its_uri_else_to_the_address_of_the_peer(target, peer):
    assert flows().next_hop(target, SEEN_UDP) == peer


OTHER_ADDRESS = "198.51.100.66"


@pytest.mark.parametrize(
    ("host", "port", "bound", "is_followed"),
    [
        (OTHER_ADDRESS, 3306, "192.0.2.1", False),
        ("192.0.2.1", 3306, "192.0.2.1", False),
        ("10.0.0.1", 5060, "10.0.0.1", False),
        (OTHER_ADDRESS, 5060, "0.0.0.0", False),
        ("198.51.100.9", 5060, "0.0.0.0", True),
        ("198.51.100.9", 3306, "192.0.2.1", True),
    ],
    ids=["other address", "announced address", "bound address", "bound to all", "another machine", "another's port"],
)
def test_no_peer_is_sought_on_the_machine_of_the_switch_but_one_that_is_there(host, port, bound, is_followed):
    """At a socket of ours there is none at all."""
    ours = flows([Listener("192.0.2.1", 5060, bound=bound)])
    here, target = {"192.0.2.1", "10.0.0.1", "10.0.0.2", OTHER_ADDRESS}, f"sip:a@{host}:{port}"
    ours.is_here = here.__contains__
    assert ours.next_hop(target, SEEN_UDP) == (Peer(UDP, host, port) if is_followed else SEEN_UDP)
    beside = SEEN_UDP._replace(host="10.0.0.2")
    assert ours.next_hop(target, beside) == (beside if port == 5060 and not is_followed else Peer(UDP, host, port))


@pytest.mark.parametrize(
    ("target", "seen", "peer"),
    [
        ("sip:a@198.51.100.7:5060", SEEN_TCP, SEEN_TCP),
        ("sip:a@198.51.100.7;transport=tcp", SEEN_TCP, SEEN_TCP),
        ("sips:a@198.51.100.7", SEEN_TLS, SEEN_TLS),
        ("sip:a@198.51.100.7;transport=udp", SEEN_TCP, Peer(UDP, "198.51.100.7", 5060)),
        ("sips:a@198.51.100.7", SEEN_TCP, Peer(TLS, "198.51.100.7", 5061)),
        ("sip:a@198.51.100.9;transport=tcp", SEEN_TCP, Peer(TCP, "198.51.100.9", 5060)),
        ("sip:a@198.51.100.9", SEEN_TCP, Peer(UDP, "198.51.100.9", 5060)),
    ],
)
def test_a_connection_that_is_there_is_used_again(target, seen, peer):
    """RFC 5923: a peer that opened a connection is asked on it, whatever port its Contact names."""
    assert flows().next_hop(target, seen) == peer


@pytest.mark.parametrize("host", ["2001:db8::10", "2001:DB8::10", "2001:db8:0:0:0:0:0:10"])
def test_a_connection_is_used_again_however_its_ipv6_address_is_written(host):
    """RFC 5952 is what we write; a peer may write another form of the same address."""
    seen, ours = Peer(TCP6, "2001:db8::10", 51_234), flows()
    assert ours.next_hop(f"sip:a@[{host}]:51234;transport=tcp", seen) == seen
    assert ours.beside(f"sip:a@[{host}]:5070;transport=tcp", seen) == seen._replace(port=5070)


def test_ipv6_peers_are_reached_from_ipv6_sockets():
    seen = Peer(UDP6, "2001:db8::9", 5060)
    assert flows().next_hop("sip:a@[2001:db8::8];transport=tcp", seen) == Peer(TCP6, "2001:db8::8", 5060)
    assert flows().next_hop("sip:a@198.51.100.9", seen) == seen


@pytest.mark.parametrize("host", ["fe80::99", "FE80:0::99", "febf::1", "::", "ff02::1"])
@pytest.mark.parametrize("seen", ["2001:db8::9", "fe80::99%eth0"])
def test_an_ipv6_address_of_one_link_or_of_no_host_is_not_followed(host, seen):
    """RFC 4007 section 6: it means nothing without the link, which no URI names."""
    at = Peer(UDP6, seen, 5060)
    assert flows().next_hop(f"sip:a@[{host}]:5070", at) == at
    assert flows().is_ours(hop_of(f"sip:a@[{host}]").host, 5070)


@pytest.mark.parametrize(
    ("target", "seen", "peer"),
    [
        ("sips:a@198.51.100.9", SEEN_UDP, Peer(UDP, "198.51.100.9", 5060)),
        ("sips:a@198.51.100.9:5071", SEEN_UDP, Peer(UDP, "198.51.100.9", 5060)),
        ("sip:a@198.51.100.7:5061;transport=tls", SEEN_UDP._replace(port=5080), SEEN_UDP._replace(port=5080)),
        ("sip:a@198.51.100.7:5061;transport=tls", SEEN_TCP, SEEN_TCP),
    ],
)
def test_a_peer_that_wants_tls_is_spoken_to_on_what_there_is_and_not_at_the_port_of_tls(target, seen, peer):
    """The 200 of the peer came without TLS: so ACK and BYE arrive there, too."""
    assert flows(LISTENERS[:2]).next_hop(target, seen) == peer


def test_a_peer_of_the_family_without_tls_is_spoken_to_on_what_there_is():
    seen = Peer(UDP6, "2001:db8::7", 5060)
    assert flows().next_hop("sip:a@[2001:db8::9]:5061;transport=tls", seen) == seen._replace(host="2001:db8::9")


# -- names --------------------------------------------------------------------------------------------------------


def test_a_name_is_looked_up_and_gives_address_port_and_transport():
    asked = []

    def locate(hop: Hop, seen_at: str) -> Hop:
        asked.append((hop, seen_at))
        return Hop("198.51.100.20", 5090, "tcp")

    assert flows(locate=locate).next_hop("sip:a@Example.com", SEEN_UDP) == Peer(TCP, "198.51.100.20", 5090)
    assert flows(locate=locate).next_hop("<sip:Example.com:5070;lr;transport=tls>", SEEN_UDP).port == 5090
    assert asked == [(Hop("example.com", None, None), SEEN_UDP), (Hop("example.com", 5070, "tls"), SEEN_UDP)]


def test_an_address_is_never_looked_up():
    asked: list[Hop] = []
    for target in ("sip:a@198.51.100.9", "sip:a@[2001:db8::9]", "sip:a@h;maddr=198.51.100.9", "sip:a@name.example"):
        flows(locate=lambda hop, _: asked.append(hop)).next_hop(target, SEEN_UDP)
    assert asked == [Hop("name.example", None, None)]


@pytest.mark.parametrize("found", [None, Hop("2001:db8::9", 5060, "udp")], ids=["unknown", "another family"])
def test_a_name_that_leads_nowhere_is_reached_where_the_peer_was_seen(found):
    assert flows(locate=lambda hop, _: found).next_hop("sip:a@example.com", SEEN_UDP) == SEEN_UDP


def test_a_dialog_with_a_named_target_asks_the_locator_of_the_endpoint():
    probe = Probe(locate=lambda hop, _: Hop("198.51.100.20", 5090, None) if hop.host == "vendor.example" else None)
    transaction = probe.call_vendor(Keeper())
    transaction.abandon("", probe.now)
    probe.receive(reply(probe.log[0], 200, headers="Contact: <sip:a@vendor.example>\r\n", body=SDP), VENDOR)
    assert [(sent.title, sent.peer) for sent in probe.log[1:]] == [
        ("ACK", Peer(0, "198.51.100.20", 5090)), ("BYE", Peer(0, "198.51.100.20", 5090)),
    ]  # fmt: skip


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_an_address_of_a_redirection_needs_a_socket_of_its_transport_and_family(transport):
    """A name, too: what it leads to is not known before."""
    ours, name = flows(locate=lambda hop, _: hop._replace(host="2001:db8::9")), Hop("edge.example", 5061, transport)
    there = {"tcp": Hop("2001:db8::9", 5061, "tcp"), "tls": None}[transport]
    assert ours.located(name) == ours.located(name._replace(host="2001:db8::9")) == there
    assert ours.located(Hop("198.51.100.9", 5061, transport)) is not None
    assert flows(LISTENERS[:1]).located(Hop("198.51.100.9", 5061, transport)) is None


# -- which socket -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "transport", "interface", "flow"),
    [
        ("198.51.100.7", None, None, UDP),
        ("198.51.100.7", "udp", None, UDP),
        ("198.51.100.7", "tls", None, TLS),
        ("2001:db8::7", None, None, UDP6),
        ("2001:db8::7", "tcp", None, TCP6),
        ("2001:db8::7", "tls", None, TLS),
        ("2001:db8::7", "tls", "udp:[2001:db8::1]:5060", TLS),
        ("198.51.100.7", None, "tls:192.0.2.1:5061", TLS),
        ("198.51.100.7", "udp", "tcp:192.0.2.1:5060", TCP),
        ("198.51.100.7", "tcp", "udp:192.0.2.9:5060", TCP),
        ("198.51.100.7", "tls", "udp:192.0.2.1:5060", TLS),
    ],
)
def test_the_socket_is_the_chosen_one_else_the_first_that_fits(host, transport, interface, flow):
    """Without TLS of the family, that of the other one is taken, which cannot send there: not UDP, which can."""
    assert flows().towards(host, transport, interface) == flow


def test_of_several_sockets_alike_the_first_is_taken():
    twins = (*LISTENERS, Listener("192.0.2.2", 5060, "udp"))
    assert flows(twins).towards("198.51.100.7") == UDP


@pytest.mark.parametrize(("flow", "beside"), [(UDP, TCP), (UDP6, TCP6), (TCP, None), (TLS, None)])
def test_beside_a_udp_socket_tcp_of_the_same_family_takes_what_is_large(flow, beside):
    assert flows().for_large(flow) == beside


def test_for_what_is_large_tcp_on_the_same_address_is_preferred():
    tcp_elsewhere = Listener("192.0.2.2", 5060, "tcp")
    assert flows((LISTENERS[UDP], tcp_elsewhere, LISTENERS[TCP])).for_large(0) == 2
    assert flows((LISTENERS[UDP], tcp_elsewhere)).for_large(0) == 1
    assert flows((LISTENERS[UDP], LISTENERS[TCP6])).for_large(0) is None


# -- a connection that is gone ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contact", "peer", "other"),
    [
        ("sip:a@198.51.100.7", SEEN_TCP, Peer(TCP, "198.51.100.7", 5060)),
        ("sip:a@198.51.100.7:5070", SEEN_TCP, Peer(TCP, "198.51.100.7", 5070)),
        ("sip:a@198.51.100.7", SEEN_TLS, Peer(TLS, "198.51.100.7", 5061)),
        ("sip:a@198.51.100.7:40000", SEEN_TCP, SEEN_TCP),
        ("<sip:198.51.100.7;transport=tcp;lr>", SEEN_TCP, Peer(TCP, "198.51.100.7", 5060)),
        ("sip:a@edge.example", SEEN_TCP, Peer(TCP, "198.51.100.7", 5060)),
        ("sip:a@edge.example:5070", SEEN_TCP, Peer(TCP, "198.51.100.7", 5070)),
        ("sip:a@198.51.100.9", SEEN_TCP, None),
        ("sip:a@example.com", SEEN_TCP, None),
        ("sip:a@other.example", SEEN_TCP, None),
        ("nonsense", SEEN_TCP, None),
        ("sip:a@198.51.100.7:5060", SEEN_UDP, None),
    ],
)
def test_a_peer_whose_contact_has_the_host_of_its_connection_can_be_called_there(contact, peer, other):
    names = {"edge.example": "198.51.100.7", "other.example": "198.51.100.9"}
    located = flows(locate=lambda hop, _: hop._replace(host=names[hop.host]) if hop.host in names else None)
    assert located.beside(contact, peer) == other


# -- what peers are told ------------------------------------------------------------------------------------------


def test_each_socket_names_its_transport_and_address():
    ours = flows()
    assert ours.contacts == (
        "Contact: <sip:192.0.2.1:5060>\r\n",
        "Contact: <sip:192.0.2.1:5060;transport=tcp>\r\n",
        "Contact: <sip:192.0.2.1:5061;transport=tls>\r\n",
        "Contact: <sip:[2001:db8::1]:5060>\r\n",
        "Contact: <sip:[2001:db8::1]:5060;transport=tcp>\r\n",
    )
    assert [ours.new_via(flow).partition(";")[0] for flow in range(5)] == [
        "SIP/2.0/UDP 192.0.2.1:5060", "SIP/2.0/TCP 192.0.2.1:5060", "SIP/2.0/TLS 192.0.2.1:5061",
        "SIP/2.0/UDP [2001:db8::1]:5060", "SIP/2.0/TCP [2001:db8::1]:5060",
    ]  # fmt: skip
    assert ours.reliable == (False, True, True, False, True)


def test_every_request_has_a_branch_of_its_own_that_begins_with_our_mark():
    """Section 8.1.1.7."""
    probe = Probe()
    branches = [probe.endpoint.flows.new_via(0).rpartition("branch=")[2] for _ in range(50)]
    assert len(set(branches)) == 50
    assert all(branch.startswith("z9hG4bKmark") for branch in branches)


def test_the_same_branch_on_another_socket_is_the_same_transaction():
    ours = flows()
    via = ours.new_via(UDP)
    assert ours.same_branch(via, TCP) == "SIP/2.0/TCP 192.0.2.1:5060;rport;branch=" + via.rpartition("branch=")[2]


def test_a_response_leaves_from_the_socket_of_its_request():
    probe = Probe(listeners=LISTENERS)
    for flow in (UDP, TCP, TLS):
        probe.receive(request("OPTIONS", branch=f"z9hG4bK-{flow}"), CUSTOMER._replace(flow=flow))
        assert probe.log[-1].peer.flow == flow


# -- a host in several networks --------------------------------------------------------------------------------------

LOOPBACK, LAN, WAN = (Listener(host, 5060) for host in ("127.0.0.1", "10.0.0.1", "203.0.113.1"))


@pytest.mark.parametrize(
    ("listeners", "host", "flow"),
    [
        ((LAN, WAN), "198.51.100.7", 1), ((WAN, LAN), "198.51.100.7", 0), ((LAN, WAN), "10.0.0.9", 0),
        ((WAN, LAN), "10.0.0.9", 1), ((WAN, LAN), "192.168.7.7", 1), ((LOOPBACK, WAN), "10.0.0.9", 1),
        ((LOOPBACK, LAN), "198.51.100.7", 1), ((WAN, LAN, LOOPBACK), "127.0.0.9", 2), ((WAN,), "127.0.0.9", 0),
        ((LAN, LAN._replace(port=5070)), "10.0.0.9", 0),
    ],
)  # fmt: skip
def test_a_peer_is_reached_by_a_socket_that_announces_an_address_of_its_realm(listeners, host, flow):
    assert flows(listeners).towards(host) == flow


def test_the_transport_takes_precedence_over_family_and_realm():
    listeners = (LAN._replace(transport="tcp"), WAN, Listener("2001:db8::1", 5060))
    assert flows(listeners).towards("198.51.100.7", "tcp") == 0
    assert flows(listeners).towards("2001:db8::7", "tcp") == 0
    assert flows(listeners).towards("fe80::7") == 2


# -- WebSocket (RFC 7118) -----------------------------------------------------------------------------------------

WS, WSS, BESIDE_UDP = range(3)
WEB = (Listener("192.0.2.1", 80, "ws"), Listener("192.0.2.1", 443, "wss"), Listener("192.0.2.1", 5060))
BROWSER = Peer(WSS, "203.0.113.9", 50_000)


def not_asked(hop: Hop, _seen_at: str) -> Hop | None:
    raise AssertionError(f"looked up: {hop}")


def test_sockets_for_browsers_announce_themselves_as_the_rfc_says():
    web = flows(WEB)
    assert [via.partition(";")[0] for via in web.vias[:2]] == ["SIP/2.0/WS 192.0.2.1:80", "SIP/2.0/WSS 192.0.2.1:443"]
    assert web.contacts[:2] == (
        "Contact: <sip:192.0.2.1:80;transport=ws>\r\n",
        "Contact: <sip:192.0.2.1:443;transport=ws>\r\n",
    )


@pytest.mark.parametrize(
    "contact",
    [
        "sip:a@x7.invalid;transport=ws",
        "sips:a@x7.invalid;transport=ws",
        "sip:a@198.51.100.9:5060",
        "sip:a@203.0.113.9:5060;transport=tcp",
        "<sip:proxy.example.org;lr>",
    ],
)
def test_a_browser_is_reached_over_its_connection_alone_whatever_it_says(contact):
    web = flows(WEB, not_asked)
    assert web.next_hop(contact, BROWSER) == BROWSER
    assert web.beside(contact, BROWSER) is None
    assert web.elsewhere("sip:a@203.0.113.9:443;transport=ws", BROWSER) is None


def test_nothing_is_sent_to_a_uri_for_websocket():
    web, seen = flows(WEB, not_asked), Peer(BESIDE_UDP, "198.51.100.7", 5060)
    assert web.next_hop("sip:a@198.51.100.9;transport=ws", seen) == seen
    assert web.next_hop("sip:a@x7.invalid", seen) == seen
    assert web.located(Hop("198.51.100.9", None, "ws")) is None


def test_a_socket_for_browsers_is_never_chosen_for_another_peer():
    web = flows(WEB)
    assert {web.towards("198.51.100.7", transport) for transport in (None, "udp", "tcp", "tls")} == {BESIDE_UDP}


def test_a_call_of_a_browser_is_answered_and_ended_over_its_connection():
    probe = Probe(listeners=WEB)
    headers = "Contact: <sip:a@x7.invalid;transport=ws>\r\n"
    event = probe.receive(request(via="SIP/2.0/WSS x7.invalid;branch=z9hG4bK-1", headers=headers, body=SDP), BROWSER)
    dialog = Dialog.of_caller(event.request, "ours", event.source, probe.endpoint.flows.next_hop, Nat.AUTO)
    assert (dialog.is_behind_nat, dialog.peer) == (True, BROWSER)
    event.transaction.respond(486, "ours", "", probe.now)
    [refusal] = probe.sent()
    assert refusal.peer == BROWSER
    assert refusal.response.header("via") == "SIP/2.0/WSS x7.invalid;branch=z9hG4bK-1;received=203.0.113.9"
