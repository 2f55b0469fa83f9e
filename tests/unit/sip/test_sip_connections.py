"""Transactions over connections: nothing is sent twice, every limit holds, and a connection may fail (RFC 3261 17, 18).

Timers D, I, J and K may be zero over a reliable transport; here they run as over UDP, which absorbs the same.
"""

import msgspec
import pytest
from doubles.virtual.probe import LISTENER, SDP, Keeper, Probe, reply, request

from vosd.sip.dialog.acceptance import Acceptance
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.events import AckMissing, InviteArrived, NoResponse, RequestArrived
from vosd.sip.flows import Listener
from vosd.sip.restoration import Restoration
from vosd.sip.settings import SipSettings, Timers
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.client_snapshot import ClientSnapshot
from vosd.sip.transaction.states import TransactionState
from vosd.sip.transaction.store import UNREACHABLE_MAX
from vosd.sip.wire.outgoing import OF_RESPONSES, Peer

T1, T2, T4 = 500, 4_000, 5_000
GIVE_UP = 64 * T1
UP_TO_T2 = [0, 500, 1_500, 3_500, *range(7_500, GIVE_UP, T2)]
LISTENERS = (LISTENER, Listener("192.0.2.1", 5060, "tcp"), Listener("192.0.2.1", 5061, "tls"))
TCP, TLS = 1, 2
CALLER = Peer(TCP, "192.0.2.10", 40_000)
"""A customer's end of a connection that it opened."""
RECONNECTED = CALLER._replace(port=40_001)
CALLER_AT_HOME = Peer(TCP, "192.0.2.10", 5060)
"""Where its Contact says that it can be called."""
GATEWAY = Peer(TCP, "198.51.100.7", 5060)
PLACE = Peer(TLS, "198.51.100.7", 5061)
LARGE = SDP + b"a=fill:" + b"x" * 1_300 + b"\r\n"
TO_US = "<sip:4420@192.0.2.1>;tag=ours"


@pytest.fixture
def probe() -> Probe:
    return Probe(listeners=LISTENERS)


def over_tcp(method: str = "INVITE", **changes) -> bytes:
    branch = changes.pop("branch", "z9hG4bK-1")
    return request(method, via=f"SIP/2.0/TCP 192.0.2.10:5060;branch={branch}", **changes)


def accept(probe: Probe, owner: Keeper) -> Acceptance:
    """Take a call of the customer's over TCP and answer it."""
    event = probe.receive(over_tcp(), CALLER)
    assert isinstance(event, InviteArrived)
    owner.dialog = Dialog.of_caller(event.request, "ours", event.source, probe.endpoint.flows.next_hop)
    probe.endpoint.dialogs.adopt("ours", owner)
    return probe.accept(event.transaction, owner.dialog, owner)


def talk(probe: Probe, owner: Keeper) -> Dialog:
    accept(probe, owner).acknowledged()
    probe.sent()
    assert owner.dialog is not None
    return owner.dialog


def nothing_left(probe: Probe) -> bool:
    return not any(probe.endpoint.census().values()) and not probe.endpoint.store.streams


# -- what is sent once --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flow", "written"), [(TCP, "TCP 192.0.2.1:5060"), (TLS, "TLS 192.0.2.1:5061")])
def test_an_invite_goes_out_once_and_timer_b_still_ends_it(probe, owner, flow, written):
    """Section 17.1.1.2: timer A does not run over a reliable transport, timer B does."""
    transaction = probe.call_vendor(owner, peer=GATEWAY._replace(flow=flow))
    assert probe.log[0].request.header("via").startswith(f"SIP/2.0/{written};")
    assert probe.advance(GIVE_UP - 1) == []
    assert probe.advance(1) == [NoResponse(owner, transaction, probe.now)]
    assert probe.times_of("INVITE") == [0]
    assert nothing_left(probe)


def test_a_request_goes_out_once_and_timer_f_still_ends_it(probe, owner):
    """Section 17.1.2.2: timer E does not run over a reliable transport, timer F does."""
    client = probe.endpoint.client.send_request(talk(probe, owner), "UPDATE", "", b"", owner, probe.now)
    assert probe.advance(GIVE_UP - 1) == []
    assert probe.advance(1) == [NoResponse(owner, client, probe.now)]
    assert probe.titles() == ["UPDATE"]


def test_a_provisional_response_starts_no_repetition(probe, owner):
    """Section 17.1.2.2: in Proceeding, too, timer E is for unreliable transports only."""
    client = probe.endpoint.client.send_request(talk(probe, owner), "UPDATE", "", b"", owner, probe.now)
    [asked] = probe.sent()
    probe.advance(1_000)
    probe.receive(reply(asked, 100), CALLER)
    assert probe.advance(GIVE_UP) == [NoResponse(owner, client, probe.now.plus(-1_000))]
    assert probe.titles() == []


def test_a_failure_goes_out_once_and_timer_h_still_ends_the_wait_for_its_ack(probe):
    """Section 17.2.1: timer G is set for unreliable transports only."""
    event = probe.receive(over_tcp(), CALLER)
    event.transaction.respond(486, "ours", "", probe.now)
    probe.advance(GIVE_UP - 1)
    assert not nothing_left(probe)
    probe.advance(1)
    assert probe.times_of("486") == [0]
    assert nothing_left(probe)


def test_a_2xx_is_repeated_over_a_connection_too(probe, owner):
    """Section 13.3.1.4: behind the next hop there may be UDP."""
    acceptance = accept(probe, owner)
    assert probe.advance(GIVE_UP) == [AckMissing(owner, acceptance, probe.now)]
    assert probe.times_of("200") == UP_TO_T2
    assert {sent.peer for sent in probe.log} == {CALLER}


def test_a_response_takes_the_connection_that_its_request_came_on(probe):
    """Section 18.2.2: whatever port the Via names."""
    probe.receive(over_tcp("OPTIONS"), CALLER)
    [answer] = probe.sent()
    assert answer.peer == CALLER


@pytest.mark.parametrize("method", ["OPTIONS", "BYE", "UNKNOWN"])
@pytest.mark.parametrize("rport", ["", ";rport"])
def test_a_request_that_comes_again_over_another_connection_is_answered_there(probe, method, rport):
    """The first connection has broken before the response, and a peer behind NAT accepts none (section 18.2.2)."""
    asked = over_tcp(method, branch=f"z9hG4bK-1{rport}")
    probe.receive(asked, CALLER)
    [first] = probe.sent()
    probe.fail(CALLER)
    assert probe.receive(asked, RECONNECTED) is None
    [again] = probe.sent()
    assert (first.peer, again.peer, again.title) == (CALLER, RECONNECTED, first.title)
    assert again.response.via.params.get("rport") == (str(RECONNECTED.port) if rport else None)


def test_a_request_that_waits_for_its_response_is_answered_over_the_connection_that_it_has_come_on_again(probe, owner):
    talk(probe, owner)
    info = over_tcp("INFO", branch="z9hG4bK-2", to=TO_US, cseq="2 INFO")
    event = probe.receive(info, CALLER)
    probe.fail(CALLER)
    assert probe.receive(info, RECONNECTED) is None
    event.transaction.respond(200, "ours", "", probe.now)
    assert [(sent.title, sent.peer) for sent in probe.sent()] == [("200", RECONNECTED)]


@pytest.mark.parametrize(
    ("source", "change"),
    [
        (RECONNECTED._replace(host="192.0.2.11"), bytes),
        (RECONNECTED._replace(flow=TLS), bytes),
        (RECONNECTED, lambda data: data.replace(b"From: <sip:", b"From: <sip:x")),
    ],
    ids=["another host", "another socket", "another From"],
)
def test_a_connection_of_another_peer_gets_no_response_of_the_first_one(probe, source, change):
    asked = over_tcp("OPTIONS")
    probe.receive(asked, CALLER)
    probe.sent()
    assert probe.receive(change(asked), source) is None
    assert [sent.peer for sent in probe.sent()] == [CALLER]


def test_repetitions_are_absorbed_as_over_udp(probe, owner):
    """Timers D, I and K: zero would do here, but a proxy with UDP behind it may still repeat something."""
    event = probe.receive(over_tcp(), CALLER)
    event.transaction.respond(486, "ours", "", probe.now)
    probe.call_vendor(owner, peer=GATEWAY)
    failure = reply(probe.log[-1], 503)
    probe.receive(failure, GATEWAY)
    probe.receive(over_tcp("ACK", to=TO_US, cseq="1 ACK"), CALLER)
    probe.advance(T4 - 1)
    probe.sent()
    assert probe.receive(failure, GATEWAY) is None
    assert probe.receive(over_tcp(), CALLER) is None
    assert probe.titles() == ["ACK"]
    probe.advance(GIVE_UP + T1)
    assert nothing_left(probe)


def test_the_operators_list_gives_only_its_sum_over_a_connection(owner):
    """One send, and the total as time-out."""
    timers = Timers(resend_ms=(1_000, 2_000))
    probe = Probe(SipSettings(timers=timers), listeners=LISTENERS)
    transaction = probe.call_vendor(owner, peer=GATEWAY)
    assert probe.advance(3_000) == [NoResponse(owner, transaction, probe.now)]
    assert probe.times_of("INVITE") == [0]


# -- a connection that fails: section 8.1.3.1 ---------------------------------------------------------------------


def test_an_invite_whose_connection_fails_gets_no_response(probe, owner):
    transaction = probe.call_vendor(owner, peer=GATEWAY)
    probe.advance(100)
    assert probe.fail(GATEWAY) == [NoResponse(owner, transaction, probe.now, is_unreachable=True)]
    assert nothing_left(probe)


def test_only_transactions_on_the_failed_connection_are_ended(probe, owner):
    probe.call_vendor(owner, peer=GATEWAY)
    for other in (GATEWAY._replace(flow=TLS), GATEWAY._replace(port=5070), GATEWAY._replace(flow=0)):
        assert probe.fail(other) == []
    assert len(probe.fail(GATEWAY)) == 1
    assert probe.fail(GATEWAY) == []


def test_an_invite_with_a_provisional_response_survives_its_connection(probe, owner):
    """The final response may come on another; how long to wait for it is the call's affair."""
    probe.call_vendor(owner, peer=GATEWAY)
    [asked] = probe.sent()
    probe.receive(reply(asked, 180), GATEWAY)
    assert probe.fail(GATEWAY) == []
    event = probe.receive(reply(asked, 200, body=SDP), GATEWAY._replace(port=40_001))
    assert (event.owner, event.response.status) == (owner, 200)


def test_an_invite_given_up_is_not_reported_by_its_connection(probe, owner):
    transaction = probe.call_vendor(owner, peer=GATEWAY)
    transaction.abandon("", probe.now)
    assert probe.fail(GATEWAY) == []
    probe.advance(GIVE_UP)
    assert nothing_left(probe)


def test_a_failure_whose_connection_is_gone_waits_for_no_ack(probe):
    """Section 18.2.2: it goes to the port in its Via; where that is closed too, the transaction ends (17.2.4)."""
    event = probe.receive(over_tcp(), CALLER)
    event.transaction.respond(486, "ours", "", probe.now)
    probe.sent()
    assert probe.fail(CALLER) == []
    (again,) = probe.sent()
    assert (again.peer, again.response.status) == (CALLER_AT_HOME, 486)
    assert probe.fail(CALLER_AT_HOME) == []
    assert nothing_left(probe)
    assert event.transaction.state is TransactionState.TERMINATED


def test_a_failure_is_sent_again_only_where_the_connection_that_is_gone_has_carried_responses(probe):
    event = probe.receive(over_tcp(), CALLER)
    event.transaction.respond(486, "ours", "", probe.now)
    probe.endpoint.transport_failed(CALLER, probe.now, ["", "one.example"])
    assert [each.peer for each in probe.sent()] == [CALLER]
    probe.endpoint.transport_failed(CALLER, probe.now, ["one.example", OF_RESPONSES])
    assert [each.peer for each in probe.sent()] == [CALLER_AT_HOME]


def test_a_failure_on_a_connection_that_we_opened_goes_over_another_one(probe):
    """A vendor that gets no response to its re-INVITE ends the call."""
    event = probe.receive(over_tcp(), CALLER_AT_HOME)
    event.transaction.respond(488, "ours", "", probe.now)
    assert probe.fail(CALLER_AT_HOME) == []
    assert [(each.title, each.peer) for each in probe.sent()] == [("488", CALLER_AT_HOME)] * 2
    assert probe.fail(CALLER_AT_HOME) == []
    assert nothing_left(probe)


def test_a_2xx_whose_connection_is_gone_is_repeated_all_the_same(probe, owner):
    """Section 18.2.2: at the port that the Via of its INVITE names."""
    acceptance = accept(probe, owner)
    probe.sent()
    assert probe.fail(CALLER) == []
    (again,) = probe.sent()
    assert (again.peer, again.response.status) == (CALLER_AT_HOME, 200)
    assert probe.fail(CALLER_AT_HOME) == []
    assert probe.advance(GIVE_UP) == [AckMissing(owner, acceptance, probe.now)]
    assert probe.times_of("200") == [0, *UP_TO_T2]
    probe.endpoint.dialogs.forget("ours", probe.now)
    probe.advance(GIVE_UP + T1)
    assert nothing_left(probe)


def test_a_bye_whose_connection_is_gone_goes_to_the_contact_of_the_peer(probe, owner):
    """RFC 5923 section 1: the peer that opened a connection may be reachable elsewhere; its Contact says where."""
    probe.endpoint.client.send_bye(talk(probe, owner), "", probe.now)
    assert probe.fail(CALLER) == []
    first, again = probe.sent()
    assert (first.peer, again.peer) == (CALLER, CALLER_AT_HOME)
    assert first.data == again.data, "the same transaction"
    probe.receive(reply(first, 200), CALLER_AT_HOME)
    assert probe.fail(CALLER_AT_HOME) == []
    probe.endpoint.dialogs.forget("ours", probe.now)
    probe.advance(GIVE_UP + T1)
    assert nothing_left(probe)


def without_connection(probe: Probe, dialog: Dialog) -> Client:
    """Send a BYE over a connection that is closed, to a peer that accepts none."""
    bye = probe.endpoint.client.send_bye(dialog, "", probe.now)
    probe.sent()
    probe.fail(CALLER)
    assert [sent.peer for sent in probe.sent()] == [CALLER_AT_HOME]
    return bye


def expect_bye_over_udp(probe: Probe) -> None:
    assert probe.fail(CALLER_AT_HOME) == []
    [last] = [sent for sent in probe.sent() if sent.peer.flow == 0]
    assert (last.title, last.peer, last.request.via.transport) == ("BYE", CALLER_AT_HOME._replace(flow=0), "UDP")
    probe.receive(reply(last, 200), last.peer)
    assert not probe.endpoint.store.clients


def test_a_bye_goes_over_udp_at_last_where_the_contact_names_no_transport(probe, owner):
    """RFC 3263 section 4.1: a peer whose firewall has ended its connection may take datagrams there."""
    without_connection(probe, talk(probe, owner))
    expect_bye_over_udp(probe)


def test_a_bye_that_waits_for_a_connection_goes_over_udp_after_a_restart_too(probe, owner):
    bye = probe.endpoint.client.send_bye(talk(probe, owner), "", probe.now)
    data = msgspec.json.encode(ClientSnapshot.of(bye, probe.endpoint.flows))
    other = Probe(listeners=LISTENERS)
    msgspec.json.decode(data, type=ClientSnapshot).restored(Restoration(other.endpoint, lambda _gateway: None))
    other.fail(CALLER)
    expect_bye_over_udp(other)


@pytest.mark.parametrize("contact", ["sip:4930@192.0.2.10:5060;transport=tcp", "sip:4930@192.0.2.10;transport=tcp"])
def test_a_bye_stays_on_tcp_where_the_contact_names_it(probe, owner, contact):
    dialog = talk(probe, owner)
    dialog.target = contact
    without_connection(probe, dialog)
    assert probe.fail(CALLER_AT_HOME) == []
    assert probe.titles() == []


def test_a_request_without_connection_gets_no_response(probe, owner):
    client = probe.endpoint.client.send_request(talk(probe, owner), "UPDATE", "", b"", owner, probe.now)
    assert probe.fail(CALLER) == []
    assert probe.fail(CALLER_AT_HOME) == [NoResponse(owner, client, probe.now, is_unreachable=True)]
    assert probe.titles() == ["UPDATE", "UPDATE"]


DIALLED = "Contact: <sip:v@198.51.100.7:5060;transport=tcp>\r\n"


def call(probe: Probe, owner: Keeper, headers: str = DIALLED, *, peer: Peer = GATEWAY, server_name: str = "") -> Dialog:
    """Make a call to the gateway, over a connection that we open."""
    transaction = probe.call_vendor(owner, peer=peer, server_name=server_name)
    event = probe.receive(reply(probe.log[-1], 200, headers=headers, body=SDP), peer)
    owner.dialog = Dialog.of_callee(transaction.parts, "ours", event.response, probe.endpoint.flows.next_hop)
    probe.endpoint.dialogs.adopt("ours", owner)
    probe.endpoint.client.send_ack(transaction, owner.dialog, "", b"")
    assert probe.titles() == ["INVITE", "ACK"]
    return owner.dialog


@pytest.mark.parametrize(
    "headers",
    [
        DIALLED,
        "Contact: <sip:v@198.51.100.7;transport=tcp>\r\n",
        "Contact: <sip:v@edge.example;transport=tcp>\r\n",
        "Contact: <sip:v@10.0.0.7:5060>\r\nRecord-Route: <sip:198.51.100.7;transport=tcp;lr>\r\n",
    ],
    ids=["an address", "without port", "a name", "behind a proxy"],
)
def test_a_connection_that_we_opened_is_opened_once_more_for_what_has_no_answer(owner, headers):
    """A vendor's proxy restarts, or a firewall drops the connection: it accepts a new one."""
    probe = Probe(
        listeners=LISTENERS, locate=lambda hop, _: hop._replace(host="198.51.100.7") if hop.host[0] == "e" else None
    )
    dialog, client = call(probe, owner, headers), probe.endpoint.client
    reinvite = probe.invite_again(dialog, owner)
    info = client.send_request(dialog, "INFO", "", b"", owner, probe.now)
    client.send_bye(dialog, "", probe.now)
    first = probe.sent()
    assert [(each.title, each.peer) for each in first] == [(what, GATEWAY) for what in ("INVITE", "INFO", "BYE")]
    assert probe.fail(GATEWAY) == []
    assert [(each.data, each.peer) for each in probe.sent()] == [(each.data, each.peer) for each in first]
    assert dialog.peer == GATEWAY
    given_up = [NoResponse(owner, request, probe.now, is_unreachable=True) for request in (reinvite, info)]
    assert probe.fail(GATEWAY) == given_up
    assert probe.titles() == []
    assert not probe.endpoint.store.streams


def test_a_cancel_whose_connection_is_gone_is_sent_over_another_one(probe, owner):
    """Section 9.1: it goes to where its INVITE went; a phone that rings on may answer."""
    transaction = probe.call_vendor(owner, peer=GATEWAY)
    probe.receive(reply(probe.log[-1], 180), GATEWAY)
    transaction.abandon("", probe.now)
    assert probe.fail(GATEWAY) == []
    assert [(each.title, each.peer) for each in probe.sent()[1:]] == [("CANCEL", GATEWAY)] * 2
    assert probe.fail(GATEWAY) == []
    assert probe.titles() == []


@pytest.mark.parametrize(
    "port", [CALLER.port, CALLER_AT_HOME.port], ids=["the end of its connection", "where it listens"]
)
@pytest.mark.parametrize("trunk", [("", ""), ("pbx", "pbx.customer.example")], ids=["by address", "by certificate"])
def test_a_bye_that_finds_no_connection_is_sent_again_for_as_long_as_over_udp(probe, owner, port, trunk):
    """The peer may be starting, and goes on with the call until it is told; none of them registers."""
    dialog, place = talk(probe, owner), CALLER._replace(port=port)
    dialog.user, dialog.server_name = trunk
    dialog.target = f"sip:4930@{place.host}:{port};transport=tcp"
    probe.endpoint.client.send_bye(dialog, "", probe.now)
    probe.fail(CALLER)
    assert [each.peer for each in probe.sent()] == [CALLER, place]
    while probe.endpoint.store.clients:
        probe.fail(place)
        probe.advance(T2)
    assert probe.times_of("BYE") == [0, *range(0, GIVE_UP, T2)]
    assert {each.peer for each in probe.sent()} == {place}
    assert probe.endpoint.census()["timers"] == 0


def test_a_bye_over_a_connection_that_holds_is_sent_once_and_over_in_the_time_of_the_list(owner):
    """A list of the operator's has its sum as time-out everywhere."""
    probe = Probe(SipSettings(timers=Timers(resend_ms=(1_000, 2_000))), listeners=LISTENERS)
    dialog = talk(probe, owner)
    dialog.target = "sip:4930@192.0.2.10;transport=tcp"
    probe.endpoint.client.send_bye(dialog, "", probe.now)
    probe.advance(GIVE_UP)
    assert probe.times_of("BYE") == [0]
    assert not probe.endpoint.store.clients


@pytest.mark.parametrize("is_restored", [False, True], ids=["here", "after a restart"])
def test_a_peer_that_takes_a_connection_again_gets_the_bye_and_answers_it(probe, owner, is_restored):
    dialog = talk(probe, owner)
    dialog.target = "sip:4930@192.0.2.10;transport=tcp"
    bye = without_connection(probe, dialog)
    assert probe.fail(CALLER_AT_HOME) == []
    if is_restored:
        snapshot = msgspec.json.decode(
            msgspec.json.encode(ClientSnapshot.of(bye, probe.endpoint.flows)), type=ClientSnapshot
        )
        probe = Probe(listeners=LISTENERS)
        restoration = Restoration(probe.endpoint, lambda _gateway: None)
        snapshot.restored(restoration)
        restoration.finish()
    assert probe.advance(T2) == []
    [again] = probe.sent()
    assert (again.title, again.peer) == ("BYE", CALLER_AT_HOME)
    probe.receive(reply(again, 200), CALLER_AT_HOME)
    assert not probe.endpoint.store.clients
    assert not probe.endpoint.store.streams
    assert probe.advance(GIVE_UP) == []
    assert probe.titles() == []


def test_a_bye_that_waits_for_its_answer_is_sent_again_after_a_restart_which_ends_its_connection(probe, owner):
    """It may have waited for the connection itself, so the peer may know nothing of it."""
    dialog = talk(probe, owner)
    dialog.target = "sip:4930@192.0.2.10;transport=tcp"
    bye = probe.endpoint.client.send_bye(dialog, "", probe.now)
    snapshot = ClientSnapshot.of(bye, probe.endpoint.flows)
    probe = Probe(listeners=LISTENERS)
    restoration = Restoration(probe.endpoint, lambda _gateway: None)
    snapshot.restored(restoration)
    restoration.finish()
    probe.advance(T1)
    assert [(each.title, each.peer) for each in probe.sent()] == [("BYE", CALLER)]
    probe.fail(CALLER)
    [again] = probe.sent()
    assert (again.title, again.peer) == ("BYE", CALLER_AT_HOME)
    probe.receive(reply(again, 200), CALLER_AT_HOME)
    assert not probe.endpoint.store.clients
    assert probe.advance(GIVE_UP) == []
    assert probe.titles() == []


@pytest.mark.parametrize("contact", ["sip:4930@10.0.0.7:5060", "sip:4930@host.example"], ids=["another host", "a name"])
def test_a_bye_without_another_way_ends_with_its_connection(probe, owner, contact):
    dialog = talk(probe, owner)
    dialog.target = contact
    probe.endpoint.client.send_bye(dialog, "", probe.now)
    assert probe.fail(CALLER) == []
    assert probe.titles() == ["BYE"]
    assert probe.endpoint.census()["timers"] == 0


def test_a_reinvite_whose_connection_is_gone_takes_the_dialog_along_to_the_new_one(probe, owner):
    """Connections are closed when idle: a call that was quiet for minutes must survive its next re-INVITE."""
    dialog = talk(probe, owner)
    transaction = probe.invite_again(dialog, owner)
    assert probe.fail(CALLER) == []
    first, again = probe.sent()
    assert (first.peer, again.peer, first.data) == (CALLER, CALLER_AT_HOME, again.data)
    event = probe.receive(reply(again, 200, headers="Contact: <sip:4930@192.0.2.10:5060>\r\n"), CALLER_AT_HOME)
    assert event.transaction is transaction
    probe.endpoint.client.send_ack(transaction, dialog, "", b"")
    [ack] = probe.sent()
    assert ack.peer == CALLER_AT_HOME


def test_peers_that_take_no_connection_are_remembered_up_to_a_bound(probe):
    store = probe.endpoint.store
    peers = [Peer(TCP, f"198.51.100.{number % 250}", 1_024 + number) for number in range(UNREACHABLE_MAX + 1)]
    for peer in peers:
        store.takes_no_connection(peer, probe.now)
    assert not store.may_connect(peers[-1], probe.now)
    assert len(store.unreachable) <= UNREACHABLE_MAX


def test_requests_of_ours_take_the_connection_that_the_peer_spoke_on_last(probe, owner):
    """A peer that has reconnected may be reached on its new connection only."""
    dialog = talk(probe, owner)
    info = over_tcp("INFO", branch="z9hG4bK-2", to=TO_US, cseq="2 INFO")
    assert isinstance(probe.receive(info, CALLER._replace(port=40_001)), RequestArrived)
    probe.endpoint.client.send_bye(dialog, "", probe.now)
    assert probe.log[-1].peer == CALLER._replace(port=40_001)


def test_a_large_request_by_tcp_moves_no_dialog_from_udp(probe, owner):
    """Section 18.1.1: a peer that uses TCP for one large request is still reached over UDP."""
    event = probe.receive(request(), Peer(0, "192.0.2.10", 5060))
    owner.dialog = Dialog.of_caller(event.request, "ours", event.source, probe.endpoint.flows.next_hop)
    probe.endpoint.dialogs.adopt("ours", owner)
    probe.receive(over_tcp("INFO", branch="z9hG4bK-2", to=TO_US, cseq="2 INFO"), CALLER)
    assert owner.dialog.peer == Peer(0, "192.0.2.10", 5060)


@pytest.fixture
def questions(probe):
    """Ask two vendors whose names lead to one place; return their dialogs."""
    dialogs = {
        name: Dialog.outside(
            call_id=name, local=f"<sip:a@h>;tag={name}", remote="<sip:h>", target="sip:h", peer=PLACE, answers=None,
            server_name=name,
        )
        for name in ("one.example", "other.example", "")
    }  # fmt: skip
    for name, dialog in dialogs.items():
        owner = Keeper()
        owner.dialog = dialog
        probe.endpoint.dialogs.adopt(name, owner)
        probe.endpoint.client.send_request(dialog, "OPTIONS", "", b"", owner, probe.now)
    return dialogs


@pytest.mark.parametrize("names", [["one.example"], ["other.example", ""]])
def test_one_of_several_connections_with_a_place_fails_for_the_names_that_it_was_used_for(probe, questions, names):
    failed = probe.endpoint.transport_failed(PLACE, probe.now, names)
    assert [event.owner.dialog.server_name for event in failed] == names
    rest = probe.endpoint.transport_failed(PLACE, probe.now)
    assert {event.owner.dialog.server_name for event in rest} == {*questions} - {*names}
    assert not probe.endpoint.store.streams


def test_a_request_that_no_connection_takes_fails_and_the_others_to_its_peer_go_on(probe, questions):
    first, *others = probe.endpoint.store.clients.values()
    event = probe.endpoint.unsent(first.retry.sent.data, probe.now)
    assert (event.transaction, event.is_unreachable) == (first, True)
    assert [*probe.endpoint.store.streams[PLACE]] == [*probe.endpoint.store.clients.values()] == others


def test_the_ack_of_a_2xx_needs_the_certificate_of_its_dialog(probe, questions):
    for name, dialog in questions.items():
        ack = dialog.request("ACK", probe.endpoint.flows.new_via(TLS), 1, "")
        assert probe.endpoint.server_name_of(ack) == name


AT_PLACE = "Contact: <sip:v@198.51.100.7:5061;transport=tls>\r\n"
ELSEWHERE = "Contact: <sip:v@198.51.100.8:5061;transport=tls>\r\n"


def names_needed(probe: Probe, dialog: Dialog, owner: Keeper) -> dict[str, str]:
    """Send requests of each kind within a dialog; return the names that the certificates must bear for them."""
    client = probe.endpoint.client
    probe.invite_again(dialog, owner)
    client.send_request(dialog, "INFO", "", b"", owner, probe.now)
    client.send_bye(dialog, "", probe.now)
    sent = {each.title: each.data for each in probe.sent()}
    sent["ACK"] = dialog.request("ACK", probe.endpoint.flows.new_via(TLS), 1, "")
    return {title: probe.endpoint.server_name_of(data) for title, data in sent.items()}


@pytest.mark.parametrize(("contact", "name"), [(AT_PLACE, "one.example"), (ELSEWHERE, "")])
def test_requests_of_a_call_need_the_certificate_of_the_name_that_it_went_to(probe, owner, contact, name):
    """Behind one place may be several vendors, told apart by that name; another place has a certificate of its own."""
    dialog = call(probe, owner, contact, peer=PLACE, server_name="one.example")
    assert names_needed(probe, dialog, owner) == dict.fromkeys(("INVITE", "INFO", "BYE", "ACK"), name)


@pytest.mark.parametrize(
    ("contact", "route", "name"),
    [
        ("198.51.100.8", "", "pbx.example"),
        ("node.example", "", ""),
        ("10.0.0.7", "198.51.100.8", "pbx.example"),
        ("10.0.0.7", "node.example", ""),
    ],
)
def test_a_trunk_by_certificate_shows_at_another_host_the_name_of_that_host_or_where_it_has_none_its_own(
    owner, contact, route, name
):
    """A node of a group has a certificate of its own, for the name that it writes into its Contact or Record-Route."""
    probe = Probe(
        listeners=LISTENERS, locate=lambda hop, _: hop._replace(host="198.51.100.8") if hop.host[0] == "n" else None
    )
    headers = f"Contact: <sip:v@{contact}:5061;transport=tls>\r\n"
    headers += f"Record-Route: <sip:{route}:5061;transport=tls;lr>\r\n" if route else ""
    invite = over_tcp(headers=headers).replace(b"/TCP", b"/TLS")
    event = probe.receive(invite, CALLER._replace(flow=TLS))
    assert isinstance(event, InviteArrived)
    owner.dialog = Dialog.of_caller(
        event.request, "ours", event.source, probe.endpoint.flows.next_hop, user="pbx", server_name="pbx.example"
    )
    probe.endpoint.dialogs.adopt("ours", owner)
    probe.accept(event.transaction, owner.dialog, owner).acknowledged()
    probe.sent()
    assert owner.dialog.peer == PLACE._replace(host="198.51.100.8")
    assert names_needed(probe, owner.dialog, owner) == dict.fromkeys(("INVITE", "INFO", "BYE", "ACK"), name)


def test_a_vendor_that_has_connected_itself_needs_no_certificate_on_the_way_back(probe, owner):
    """It asked within the call over a connection of its own; the BYE must not fail for a certificate of a caller."""
    dialog = call(probe, owner, AT_PLACE, peer=PLACE, server_name="one.example")
    own = PLACE._replace(port=40_002)
    info = request(
        "INFO", via="SIP/2.0/TLS 198.51.100.7:5061;branch=z9hG4bK-7", to=dialog.local, from_=dialog.remote,
        call_id=dialog.call_id, cseq="7 INFO",
    )  # fmt: skip
    assert isinstance(probe.receive(info, own), RequestArrived)
    probe.sent()
    assert dialog.peer == own
    assert set(names_needed(probe, dialog, owner).values()) == {""}


def answered_once_more(probe: Probe, owner: Keeper) -> None:
    """End a call; its vendor has not got the ACK, and repeats its 200."""
    dialog = call(probe, owner, AT_PLACE, peer=PLACE, server_name="one.example")
    probe.endpoint.client.send_bye(dialog, "", probe.now)
    probe.endpoint.dialogs.forget("ours", probe.now)
    probe.sent()
    probe.receive(reply(probe.log[0], 200, headers=AT_PLACE, body=SDP), PLACE)


def answered_by_a_second_fork(probe: Probe, owner: Keeper) -> None:
    """Answer a call twice."""
    call(probe, owner, AT_PLACE, peer=PLACE, server_name="one.example")
    probe.receive(reply(probe.log[0], 200, to_tag="second", headers=AT_PLACE, body=SDP), PLACE)


def answered_after_its_cancel(probe: Probe, owner: Keeper) -> None:
    """Answer a call that was given up."""
    transaction = probe.call_vendor(owner, peer=PLACE, server_name="one.example")
    probe.receive(reply(probe.log[0], 180), PLACE)
    transaction.abandon("", probe.now)
    probe.sent()
    probe.receive(reply(probe.log[0], 200, headers=AT_PLACE, body=SDP), PLACE)


def answered_after_its_refusal(probe: Probe, owner: Keeper) -> None:
    """Answer a call by another fork than the one that refused it."""
    probe.call_vendor(owner, peer=PLACE, server_name="one.example")
    probe.receive(reply(probe.log[0], 486), PLACE)
    probe.receive(reply(probe.log[0], 200, to_tag="second", headers=AT_PLACE, body=SDP), PLACE)


def left_by_an_earlier_run(probe: Probe, owner: Keeper) -> None:
    """End a call of which no more is known than its dialog."""
    dialog = call(probe, owner, AT_PLACE, peer=PLACE, server_name="one.example")
    probe.endpoint.dialogs.forget("ours", probe.now)
    probe.sent()
    probe.endpoint.client.end_left_over(dialog, 1, "", probe.now)


@pytest.mark.parametrize(
    "end",
    [
        answered_once_more,
        answered_by_a_second_fork,
        answered_after_its_cancel,
        answered_after_its_refusal,
        left_by_an_earlier_run,
    ],
)
def test_acks_of_dialogs_that_no_call_owns_need_the_certificate_of_that_name_too(probe, owner, end):
    """By the connection of another vendor it never arrives, and the one that answered repeats its 200 for 32 s."""
    end(probe, owner)
    sent = probe.sent()
    assert "ACK" in [each.title for each in sent]
    others = [each for each in sent if each.title in {"ACK", "BYE"}]
    assert [probe.endpoint.server_name_of(each.data) for each in others] == ["one.example"] * len(others)


@pytest.mark.parametrize("status", [200, 481])
def test_an_answer_to_an_ack_is_answered_by_no_other_ack(probe, owner, status):
    """An ACK has no answer (RFC 3261 section 17), and some peers send one."""
    answered_by_a_second_fork(probe, owner)
    ack = next(each for each in probe.sent() if each.title == "ACK")
    kept = probe.endpoint.store.finished.kept_bytes
    assert probe.receive(reply(ack, status, to_tag="other", headers=AT_PLACE, body=SDP), PLACE) is None
    assert (probe.titles(), probe.endpoint.store.finished.kept_bytes) == ([], kept)


def test_an_ack_is_kept_once_however_often_its_200_comes_again(probe, owner):
    answered_once_more(probe, owner)
    probe.sent()
    kept = probe.endpoint.store.finished.kept_bytes
    for _ in range(3):
        probe.receive(reply(probe.log[0], 200, headers=AT_PLACE, body=SDP), PLACE)
        (ack,) = probe.sent()
        assert probe.endpoint.server_name_of(ack.data) == "one.example"
    assert probe.endpoint.store.finished.kept_bytes == kept
