"""Peers behind NAT: how they are found out, where they are answered and asked, and what moves them."""

import pytest
from doubles.virtual.probe import (
    CUSTOMER,
    LISTENER,
    UNKNOWN_SOURCE,
    VENDOR,
    Keeper,
    Probe,
    read_request,
    reply,
    request,
    straight,
)
from msgspec.structs import replace

from vosd.base.nat import Nat
from vosd.sip.dialog.acceptance import Acceptance
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.endpoint_snapshot import EndpointSnapshot
from vosd.sip.flows import Listener
from vosd.sip.nat import is_behind_nat, is_hidden, needs_keep_alive
from vosd.sip.transaction.entries import CLOSED_DIALOG, Mark
from vosd.sip.wire.compose import response, response_stem
from vosd.sip.wire.outgoing import Peer
from vosd.sip.wire.parse import parse_message

OUTSIDE = Peer(0, "203.0.113.9", 40_000)
REMAPPED = Peer(0, "203.0.113.9", 41_111)
CONNECTION = Peer(1, "203.0.113.9", 50_000)
BOTH = (LISTENER, Listener("192.0.2.1", 5060, "tcp"))
HOME_CONTACT = "Contact: <sip:phone@192.168.1.100:5060>\r\n"
HOME_VIA = "SIP/2.0/UDP 192.168.1.100:5060;rport;branch=z9hG4bK-home-{}"
TO_US = "<sip:4420@192.0.2.1>;tag=ours"


def from_home(method: str = "INVITE", number: int = 1, *, rport: bool = True, **changes) -> bytes:
    """Write a request of a phone behind NAT."""
    via = HOME_VIA.format(f"{method}-{number}")
    changes = {
        "via": via if rport else via.replace(";rport", ""),
        "headers": HOME_CONTACT,
        "cseq": f"{number} {method}",
        **changes,
    }
    return request(method, **changes)


def talk(probe: Probe, nat: Nat = Nat.AUTO, source: Peer = OUTSIDE) -> Dialog:
    """Accept the call of the phone behind NAT, and keep its dialog."""
    event = probe.receive(from_home(), source)
    owner = Keeper()
    owner.dialog = Dialog.of_caller(event.request, "ours", source, straight, nat)
    probe.endpoint.dialogs.adopt("ours", owner)
    probe.sent()
    return owner.dialog


# -- responses (RFC 3581) -----------------------------------------------------------------------------------------

OWN, OTHER, NAME = "203.0.113.9", "192.168.1.100", "phone.example.com"


@pytest.mark.parametrize("reliable", [False, True], ids=["UDP", "a connection"])
@pytest.mark.parametrize("port", [None, 5060, 5070, 40_000])
@pytest.mark.parametrize("host", [OWN, OTHER, NAME])
@pytest.mark.parametrize("rport", [None, ";rport", ";rport=", ";rport=6", ";RPORT"])
def test_destination_and_via_of_a_response(rport, host, port, reliable):
    """RFC 3261 section 18.2.1 and 18.2.2, RFC 3581 section 4: every combination."""
    sent_by = host if port is None else f"{host}:{port}"
    via = f"SIP/2.0/UDP {sent_by};branch=z9hG4bKx{rport or ''}"
    stem = response_stem(read_request(request(via=via)), OUTSIDE, reliable=reliable)
    written = parse_message(response(stem, 200, "ours", "")).via
    assert written.host == host
    assert written.params["branch"] == "z9hG4bKx"
    assert written.params.get("rport") == ("40000" if rport else None), "filled in by the server, whatever it held"
    assert written.params.get("received") == (OUTSIDE.host if rport or host != OWN else None)
    goes_to = OUTSIDE.port if rport or reliable else port or 5060
    assert stem.peer == Peer(0, OUTSIDE.host, goes_to)


@pytest.mark.parametrize(("nat", "port"), [(Nat.NO, 5060), (Nat.AUTO, 40_000), (Nat.YES, 40_000)])
def test_within_a_dialog_a_peer_behind_nat_is_answered_at_its_port_without_having_asked(nat, port):
    probe = Probe()
    talk(probe, nat)
    event = probe.receive(from_home("BYE", 2, rport=False, to=TO_US), OUTSIDE)
    event.transaction.respond(200, "ours", "", probe.now)
    assert probe.sent()[-1].peer == Peer(0, OUTSIDE.host, port)


def test_what_no_call_decides_about_is_answered_where_a_peer_behind_nat_is_seen():
    """OPTIONS, refusals, CANCEL (which has no Contact) and what belongs to a dialog that is gone."""
    probe = Probe(knows=lambda *_: True)

    def answers(data: bytes) -> list[tuple[str, int]]:
        probe.receive(data, OUTSIDE)
        return [(sent.title, sent.peer.port) for sent in probe.sent()]

    def ask(method: str, number: int, headers: str = HOME_CONTACT, **changes) -> list[tuple[str, int]]:
        changes["call_id"] = f"{number}@home"
        return answers(from_home(method, number, rport=False, headers=headers, **changes))

    assert ask("OPTIONS", 1) == [("200", 40_000)]
    assert ask("INVITE", 2, HOME_CONTACT + "Require: precondition\r\n") == [("420", 40_000)]
    assert ask("INVITE", 3, HOME_CONTACT + "Content-Type: text/plain\r\n", body=b"x") == [("415", 40_000)]
    assert ask("INVITE", 4, cseq="4 BYE") == [("400", 40_000)]
    probe.endpoint.relay(frozenset({"MESSAGE"}))
    event = probe.receive(from_home("MESSAGE", 8, rport=False, call_id="8@home"), OUTSIDE)
    event.transaction.respond(202, "ours", "", probe.now)
    assert [(sent.title, sent.peer.port) for sent in probe.sent()] == [("202", 40_000)]
    assert ask("BYE", 5, "", to=TO_US) == [("481", 40_000)]
    probe.advance(40_000)
    probe.sent()
    invite = from_home("INVITE", 6, rport=False)
    answers(invite)
    branch = HOME_VIA.format("INVITE-6").replace(";rport", "")
    assert answers(from_home("CANCEL", 6, via=branch, headers="")) == [("200", 40_000)]
    assert answers(from_home("INVITE", 6, rport=False, cseq="7 INVITE")) == [("500", 40_000)], "the branch is in use"


def test_what_no_call_decides_about_is_answered_at_the_port_in_via_where_that_can_be_true():
    """A carrier that sends from another port, or another machine, than its Via names."""
    probe = Probe(knows=lambda *_: True)
    via = "SIP/2.0/UDP 192.0.2.10:5070;branch=z9hG4bK-1"
    probe.receive(request("OPTIONS", via=via, headers="Contact: <sip:192.0.2.10:5070>\r\n"), OUTSIDE)
    probe.receive(request("CANCEL", via=via), OUTSIDE)
    assert [(sent.title, sent.peer.port) for sent in probe.sent()] == [("200", 5_070), ("481", 5_070)]


@pytest.mark.parametrize(("proxy", "seen"), [("203.0.113.9", "203.0.113.9"), ("[2001:DB8::9]", "2001:db8::9")])
def test_a_proxy_that_is_seen_where_its_via_says_is_answered_at_its_port_whatever_the_contact_behind_it(proxy, seen):
    """RFC 3261 section 18.2.2: the topmost Via says where; the Contact is of the phone that the proxy serves."""
    probe = Probe(knows=lambda *_: True)
    via = f"SIP/2.0/UDP {proxy}:5060;branch=z9hG4bK-p, SIP/2.0/UDP 192.168.1.100:5060;branch=z9hG4bK-ua"
    probe.receive(request("OPTIONS", via=via, headers=HOME_CONTACT), OUTSIDE._replace(host=seen))
    assert [(sent.title, sent.peer) for sent in probe.sent()] == [("200", Peer(0, seen, 5_060))]


# -- retransmissions from another mapping ---------------------------------------------------------------------------


def answered_again(probe: Probe, data: bytes, source: Peer = REMAPPED) -> list[tuple[str, Peer, str | None]]:
    """Repeat a request from another source; return the responses: status, where they go, and the port in their Via."""
    probe.sent()
    assert probe.receive(data, source) is None
    return [(sent.title, sent.peer, sent.response.via.params.get("rport")) for sent in probe.sent()]


@pytest.mark.parametrize("rport", [True, False])
@pytest.mark.parametrize("moved_to", [REMAPPED, UNKNOWN_SOURCE], ids=["another port", "another address"])
def test_the_answer_to_a_bye_goes_where_its_retransmission_comes_from(rport, moved_to):
    """RFC 3261 section 18.2.2, RFC 3581: the mapping of the first one may be gone before it is answered."""
    probe = Probe()
    talk(probe)
    bye = from_home("BYE", 2, rport=rport, to=TO_US)
    event = probe.receive(bye, OUTSIDE)
    event.transaction.respond(100, "", "", probe.now)
    assert answered_again(probe, bye, moved_to) == [("100", moved_to, str(moved_to.port) if rport else None)]
    probe.endpoint.dialogs.forget("ours", probe.now)
    event.transaction.respond(200, "ours", "", probe.now)
    assert answered_again(probe, bye, moved_to) == [("200", moved_to, str(moved_to.port) if rport else None)]
    assert answered_again(probe, bye, OUTSIDE) == [("200", OUTSIDE, str(OUTSIDE.port) if rport else None)]


def test_without_rport_and_dialog_it_goes_to_the_port_in_via_where_the_first_one_went():
    """Whether its sender is behind NAT, and the router had mapped the port to itself, is not known any more."""
    probe = Probe(knows=lambda *_: True)
    options = request("OPTIONS", via="SIP/2.0/UDP 192.168.1.100:5060;branch=z9hG4bK-1")
    kept = OUTSIDE._replace(port=5_060)
    probe.receive(options, kept)
    assert answered_again(probe, options) == [("200", kept, None)]


@pytest.mark.parametrize("source", [OUTSIDE, REMAPPED])
def test_a_maddr_is_followed_for_a_retransmission_too(source):
    """RFC 3261 section 18.2.2; here it names the very host that the request comes from."""
    probe = Probe(knows=lambda *_: True)
    named = f"SIP/2.0/UDP 192.168.1.100:5060;maddr={OUTSIDE.host};rport;branch=z9hG4bK-1"
    options = request("OPTIONS", via=named)
    probe.receive(options, OUTSIDE)
    [(_, first)] = [(sent.title, sent.peer) for sent in probe.sent()]
    assert [peer for _, peer, _ in answered_again(probe, options, source)] == [first]


def test_all_responses_to_an_invite_follow_its_retransmission():
    probe = Probe()
    invite = from_home()
    transaction = probe.receive(invite, OUTSIDE).transaction
    transaction.respond(100, "", "", probe.now)
    assert answered_again(probe, invite) == [("100", REMAPPED, "41111")]
    transaction.respond(180, "ours", "", probe.now)
    assert [(sent.title, sent.peer) for sent in probe.sent()] == [("180", REMAPPED)]
    assert answered_again(probe, invite) == [("180", REMAPPED, "41111")]
    transaction.respond(486, "ours", "", probe.now)
    probe.advance(600)
    assert {(sent.title, sent.peer) for sent in probe.sent()} == {("486", REMAPPED)}
    assert answered_again(probe, invite, OUTSIDE) == [("486", OUTSIDE, "40000")]
    probe.advance(2_000)
    assert {sent.peer for sent in probe.sent()} == {OUTSIDE}


def accepted(probe: Probe, invite: bytes, nat: Nat = Nat.AUTO) -> Keeper:
    """Answer the INVITE of the phone with 200, and return the owner of its dialog."""
    event = probe.receive(invite, OUTSIDE)
    owner = Keeper()
    owner.dialog = Dialog.of_caller(event.request, "ours", OUTSIDE, straight, nat)
    owner.acceptance = Acceptance(owner.dialog, 1, store=probe.endpoint.store, owner=None)
    probe.endpoint.dialogs.adopt("ours", owner)
    owner.acceptance.begin(event.transaction, "", b"", probe.now)
    return owner


def test_a_2xx_without_its_ack_follows_the_retransmission_of_its_invite_and_so_does_the_dialog():
    probe = Probe()
    invite = from_home()
    owner = accepted(probe, invite)
    assert owner.dialog is not None
    assert owner.acceptance is not None
    probe.advance(10_000)
    assert answered_again(probe, invite) == [("200", REMAPPED, "41111")]
    assert owner.dialog.peer == REMAPPED
    assert answered_again(probe, invite) == [], "its dialog repeats it, not the INVITE (RFC 6026)"
    probe.advance(22_000)
    again = probe.sent()
    assert {sent.peer for sent in again} == {REMAPPED}
    anew = [10_500, 11_500, 13_500, 17_500, 21_500, 25_500, 29_500]
    assert [(sent.title, sent.at) for sent in again[:-1]] == [("200", at) for at in anew], "the intervals begin anew"
    assert (again[-1].title, again[-1].at) == ("BYE", 32_000), "the ACK is waited for as long as before"


def test_a_2xx_with_its_ack_follows_no_retransmission_of_its_invite():
    probe = Probe()
    invite = from_home()
    owner = accepted(probe, invite)
    assert owner.dialog is not None
    assert owner.acceptance is not None
    owner.acceptance.acknowledged()
    owner.acceptance = None
    assert answered_again(probe, invite) == []
    assert owner.dialog.peer == OUTSIDE


def test_the_2xx_of_a_later_invite_does_not_follow_the_retransmission_of_the_first():
    probe = Probe()
    invite = from_home()
    owner = accepted(probe, invite)
    assert owner.dialog is not None
    assert owner.acceptance is not None
    owner.acceptance.acknowledged()
    event = probe.receive(from_home("INVITE", 2, to=TO_US), OUTSIDE)
    owner.acceptance = Acceptance(owner.dialog, 2, store=probe.endpoint.store, owner=None)
    owner.acceptance.begin(event.transaction, "", b"", probe.now)
    assert answered_again(probe, invite) == []
    assert answered_again(probe, from_home("INVITE", 2, to=TO_US)) == [("200", REMAPPED, "41111")]
    assert owner.dialog.peer == OUTSIDE, "a retransmission within a dialog moves no dialog"


@pytest.mark.parametrize("nat", [Nat.NO, Nat.AUTO])
def test_a_2xx_to_a_sender_that_asks_for_no_rport_follows_only_behind_nat(nat):
    probe = Probe()
    invite = from_home(rport=False)
    event = probe.receive(invite, OUTSIDE)
    owner = Keeper()
    owner.dialog = Dialog.of_caller(event.request, "ours", OUTSIDE, straight, nat)
    if nat is Nat.AUTO:
        event.transaction.answer_at(OUTSIDE)
    owner.acceptance = Acceptance(owner.dialog, 1, store=probe.endpoint.store, owner=None)
    probe.endpoint.dialogs.adopt("ours", owner)
    owner.acceptance.begin(event.transaction, "", b"", probe.now)
    assert [peer for _, peer, _ in answered_again(probe, invite)] == ([REMAPPED] if nat is Nat.AUTO else [])


def test_the_tag_of_an_answered_invite_is_written_down_beside_what_versions_before_read():
    probe = Probe()
    accepted(probe, from_home())
    finished = EndpointSnapshot.of(probe.endpoint).finished
    assert {(each.mark, each.accepted_in) for each in finished} == {(Mark.ACCEPTED, "ours")}


def test_a_request_that_is_open_is_answered_where_its_retransmission_came_from():
    probe = Probe()
    talk(probe)
    info = from_home("INFO", 2, to=TO_US)
    event = probe.receive(info, OUTSIDE)
    assert answered_again(probe, info) == []
    event.transaction.respond(200, "ours", "", probe.now)
    assert [(sent.title, sent.peer) for sent in probe.sent()] == [("200", REMAPPED)]


def test_a_refusal_without_transaction_goes_where_the_retransmission_comes_from():
    probe = Probe()
    unknown = from_home("BYE", 2, to=TO_US)
    probe.receive(unknown, OUTSIDE)
    assert answered_again(probe, unknown) == [("481", REMAPPED, "41111")]


def from_another_user(data: bytes) -> bytes:
    return data.replace(b"From: <sip:4930@", b"From: <sip:4931@")


@pytest.mark.parametrize(
    ("listeners", "first", "source", "change"),
    [
        (BOTH, CONNECTION, OUTSIDE, bytes),
        (BOTH, CONNECTION, CONNECTION._replace(port=50_001), bytes),
        (BOTH, OUTSIDE, CONNECTION, bytes),
        ((LISTENER,), OUTSIDE, OUTSIDE._replace(host="203.0.113.10"), bytes),
        ((LISTENER,), OUTSIDE, OUTSIDE._replace(port=5_070), bytes),
        ((LISTENER,), OUTSIDE, REMAPPED, from_another_user),
    ],
    ids=[
        "off a connection",
        "another connection",
        "onto a connection",
        "another host",
        "another trunk",
        "another From",
    ],
)
@pytest.mark.parametrize("status", [180, 200, 486])
def test_no_one_draws_the_responses_to_an_invite_away(listeners, first, source, change, status):
    """A branch is no secret: the source has to be one of the same trunk, and the request the same."""
    probe = Probe(listeners=listeners, knows=lambda *_: True, is_of_one_trunk=lambda _first, other: other.port != 5_070)
    invite = from_home()
    event = probe.receive(invite, first)
    if status == 200:
        owner = Keeper()
        owner.dialog = Dialog.of_caller(event.request, "ours", first, straight, Nat.AUTO)
        owner.acceptance = Acceptance(owner.dialog, 1, store=probe.endpoint.store, owner=None)
        probe.endpoint.dialogs.adopt("ours", owner)
        owner.acceptance.begin(event.transaction, "", b"", probe.now)
        assert answered_again(probe, change(invite), source) == []
        probe.advance(1_000)
        assert {sent.peer for sent in probe.sent()} <= {first}
        assert owner.dialog.peer == first
        return
    event.transaction.respond(status, "ours", "", probe.now)
    assert [(title, peer) for title, peer, _ in answered_again(probe, change(invite), source)] == [(str(status), first)]


@pytest.mark.parametrize("method", ["INVITE", "BYE"])
@pytest.mark.parametrize(("nat", "is_answered_there"), [(Nat.YES, True), (Nat.NO, False)])
def test_within_a_dialog_the_tags_prove_a_sender_at_another_host_only_behind_nat(method, nat, is_answered_there):
    """Neither would a new request from there move the dialog; the dialog of the BYE is over."""
    probe = Probe()
    talk(probe, nat)
    inside = from_home(method, 2, to=TO_US)
    event = probe.receive(inside, OUTSIDE)
    if method == "BYE":
        probe.endpoint.dialogs.forget("ours", probe.now)
    event.transaction.respond(488, "ours", "", probe.now)
    goes_to = UNKNOWN_SOURCE if is_answered_there else OUTSIDE
    assert [peer for _, peer, _ in answered_again(probe, inside, UNKNOWN_SOURCE)] == [goes_to]


def test_a_closed_dialog_behind_nat_is_written_down_as_versions_before_read_it():
    probe = Probe()
    assert talk(probe).is_behind_nat
    probe.endpoint.dialogs.forget("ours", probe.now)
    marks = {each.mark for each in EndpointSnapshot.of(probe.endpoint).finished}
    assert marks == {CLOSED_DIALOG}


def test_no_one_draws_the_answer_to_a_finished_request_away():
    probe = Probe(knows=lambda *_: True)
    options = from_home("OPTIONS")
    probe.receive(options, OUTSIDE)
    assert answered_again(probe, options) == [("200", REMAPPED, "41111")]
    assert answered_again(probe, options, UNKNOWN_SOURCE) == [("200", OUTSIDE, "40000")]
    assert answered_again(probe, from_another_user(options)) == [("200", OUTSIDE, "40000")]


# -- who is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "seen", "sent_by", "hidden"),
    [
        ("192.168.1.100", "203.0.113.9", "", True),  # it cannot be reached there
        ("[fd00::1]", "2001:db8::9", "", True),
        ("203.0.113.9", "203.0.113.9", "203.0.113.9", False),
        ("[2001:DB8::9]", "2001:db8::9", "", False),
        ("198.51.100.1", "203.0.113.9", "203.0.113.9", False),  # a Contact of another machine
        ("198.51.100.1", "203.0.113.9", "198.51.100.1", False),  # a carrier that sends from another address
        ("192.168.1.100", "10.0.0.1", "192.168.1.100", True),  # NAT between two private networks
        ("192.168.1.100", "10.0.0.1", "10.0.0.1", False),  # another machine in the same private world
        ("pbx.example.com", "203.0.113.9", "pbx.example.com", False),  # a name is looked up
        ("not an address", "203.0.113.9", "", False),
    ],
)
def test_a_peer_that_cannot_be_at_its_announced_address_is_hidden(said, seen, sent_by, hidden):
    assert is_hidden(said, seen, sent_by) is hidden


@pytest.mark.parametrize(
    ("headers", "behind"),
    [
        (HOME_CONTACT, True),
        ("Contact: <sip:phone@203.0.113.9:5060>\r\n", False),
        ("Contact: <sip:phone@203.0.113.9:40000>\r\nRecord-Route: <sip:192.168.1.1;lr>\r\n", True),
        (HOME_CONTACT + "Record-Route: <sip:203.0.113.9;lr>, <sip:192.168.1.1;lr>\r\n", False),
        ('Contact: "<sip:203.0.113.9>" <sip:phone@192.168.1.100>\r\n', True),
        ("Contact: <<>\r\n", False),
        ('Contact: "\r\n', False),
        ("Contact: <tel:+4420>\r\n", False),
    ],
)
def test_the_next_stop_of_a_dialog_is_judged(headers, behind):
    """A proxy that records itself takes what we send, and knows what is behind it."""
    invite = read_request(request(headers=headers, via="SIP/2.0/UDP 203.0.113.9:40000;rport;branch=z9hG4bKx"))
    assert is_behind_nat(Nat.AUTO, invite, OUTSIDE) is behind
    assert is_behind_nat(Nat.YES, invite, OUTSIDE)
    assert not is_behind_nat(Nat.NO, invite, OUTSIDE)


def test_a_message_without_contact_detects_no_nat():
    assert not is_behind_nat(Nat.AUTO, read_request(request("OPTIONS")), OUTSIDE)


@pytest.mark.parametrize(
    ("contact", "seen", "needed"),
    [
        ("sip:a@192.168.1.100:5060", OUTSIDE, True),
        ("sip:a@203.0.113.9:40000", OUTSIDE, False),
        ("sip:a@203.0.113.9", OUTSIDE, True),  # another port
        ("sip:a@203.0.113.9", OUTSIDE._replace(port=5060), False),
        ("sips:a@203.0.113.9", OUTSIDE._replace(port=5061), False),
        ("sip:a@192.168.1.100:40000", OUTSIDE._replace(host="192.168.1.100"), True),  # private by itself
        ("nonsense", OUTSIDE, True),
    ],
)
def test_contacts_that_are_kept_alive_whatever_is_set(contact, seen, needed):
    assert needs_keep_alive(contact, seen, has_private_via=False) is needed
    assert needs_keep_alive(contact, seen, has_private_via=True)


# -- where their dialogs go ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nat", "goes_to"), [(Nat.NO, Peer(0, "192.168.1.100", 5060)), (Nat.AUTO, OUTSIDE), (Nat.YES, OUTSIDE)]
)
def test_requests_go_to_the_seen_address_with_the_contact_as_received(nat, goes_to):
    """RFC 3261 section 12.2.1.1 for the Request-URI."""
    dialog = talk(Probe(), nat)
    assert dialog.peer == goes_to
    assert read_request(dialog.request("BYE", "SIP/2.0/UDP us;branch=b", 1, "")).uri == "sip:phone@192.168.1.100:5060"


def test_a_route_is_written_but_not_followed_where_nat_is_configured():
    headers = HOME_CONTACT + "Record-Route: <sip:198.51.100.99;lr>\r\n"
    invite = read_request(from_home(headers=headers))
    dialog = Dialog.of_caller(invite, "ours", OUTSIDE, straight, Nat.YES)
    assert dialog.peer == OUTSIDE
    assert b"\r\nRoute: <sip:198.51.100.99;lr>\r\n" in dialog.request("BYE", "SIP/2.0/UDP us;branch=b", 1, "")
    assert Dialog.of_caller(invite, "ours", OUTSIDE, straight, Nat.AUTO).peer == Peer(0, "198.51.100.99", 5060)


@pytest.mark.parametrize(
    ("nat", "contact", "goes_to"),
    [
        (Nat.NO, "192.168.7.7", Peer(0, "192.168.7.7", 5060)),
        (Nat.AUTO, "192.168.7.7", VENDOR),
        (Nat.AUTO, "203.0.113.50", Peer(0, "203.0.113.50", 5060)),
        (Nat.YES, "203.0.113.50", VENDOR),
    ],
)
def test_who_answers_is_asked_where_it_was_called(nat, contact, goes_to):
    probe = Probe()
    transaction = probe.call_vendor(Keeper())
    transaction.parts = replace(transaction.parts, nat=nat)
    answer = parse_message(reply(probe.sent()[0], 200, headers=f"Contact: <sip:v@{contact}>\r\n"))
    dialog = Dialog.of_callee(transaction.parts, "ours", answer, straight)
    assert dialog.peer == goes_to
    assert dialog.target == f"sip:v@{contact}"


def test_a_contact_that_becomes_public_within_a_dialog_behind_nat_changes_nothing():
    dialog = Dialog.of_caller(read_request(from_home()), "ours", OUTSIDE, straight, Nat.AUTO)
    public = "Contact: <sip:1001@198.51.100.77:5060>\r\n"
    assert dialog.refresh(read_request(from_home("UPDATE", 2, headers=public, to=TO_US)))
    assert (dialog.is_behind_nat, dialog.peer) == (True, OUTSIDE)


@pytest.mark.parametrize(
    ("early", "final", "goes_to"),
    [
        ("203.0.113.50", "192.168.7.7", VENDOR),
        ("192.168.7.7", "203.0.113.50", VENDOR),
        ("203.0.113.50", "203.0.113.51", Peer(0, "203.0.113.51", 5060)),
    ],
)
def test_the_contact_of_a_2xx_tells_of_nat_that_the_one_before_did_not_show(early, final, goes_to):
    probe = Probe()
    transaction = probe.call_vendor(Keeper())
    parts = replace(transaction.parts, nat=Nat.AUTO)
    rings, answers = (
        parse_message(reply(probe.log[0], status, headers=f"Contact: <sip:v@{host}>\r\n"))
        for status, host in ((180, early), (200, final))
    )
    dialog = Dialog.of_callee(parts, "ours", rings, straight)
    dialog.confirm(answers)
    assert (dialog.peer, dialog.target) == (goes_to, f"sip:v@{final}")
    assert dialog.is_behind_nat is (goes_to == VENDOR)


def test_a_contact_that_becomes_private_within_the_dialog_is_not_followed():
    invite = read_request(request(headers="Contact: <sip:4930@192.0.2.10>\r\n"))
    dialog = Dialog.of_caller(invite, "ours", CUSTOMER, straight, Nat.AUTO)
    dialog.refresh(read_request(request("UPDATE", headers="Contact: <sip:4930@10.0.0.7>\r\n")))
    assert (dialog.peer, dialog.target) == (CUSTOMER, "sip:4930@10.0.0.7")


def test_a_device_behind_nat_that_registers_at_another_host_is_asked_there_and_has_left_no_contact():
    """The Contact of such a device led nowhere before either: media come from where its SIP is seen."""
    dialog = talk(Probe())
    dialog.registered_at(UNKNOWN_SOURCE)
    assert (dialog.peer, dialog.is_behind_nat, dialog.has_left_contact) == (UNKNOWN_SOURCE, True, False)
    dialog.registered_at(OUTSIDE)
    assert (dialog.peer, dialog.has_left_contact) == (OUTSIDE, False)


def test_a_device_that_has_moved_behind_nat_says_so_by_its_next_contact():
    dialog = Dialog.of_caller(read_request(request()), "ours", CUSTOMER, straight, Nat.AUTO)
    dialog.registered_at(OUTSIDE)
    assert (dialog.peer, dialog.is_behind_nat, dialog.has_left_contact) == (OUTSIDE, False, True)
    dialog.refresh(read_request(from_home("UPDATE", 2)))
    assert (dialog.peer, dialog.is_behind_nat, dialog.has_left_contact) == (OUTSIDE, True, False)


def test_a_device_behind_nat_and_routers_that_registers_elsewhere_is_asked_there_with_its_routes():
    headers = HOME_CONTACT + "Record-Route: <sip:198.51.100.99;lr>\r\n"
    dialog = Dialog.of_caller(read_request(from_home(headers=headers)), "ours", OUTSIDE, straight, Nat.YES)
    dialog.registered_at(UNKNOWN_SOURCE)
    assert (dialog.peer, dialog.has_left_contact) == (UNKNOWN_SOURCE, False)
    assert b"\r\nRoute: <sip:198.51.100.99;lr>\r\n" in dialog.request("BYE", "SIP/2.0/UDP us;branch=b", 1, "")


# -- what moves them ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "INFO", "OPTIONS", "BYE"])
def test_a_request_of_the_dialog_from_another_port_moves_the_peer(method):
    probe = Probe()
    dialog = talk(probe)
    probe.receive(from_home(method, 2, to=TO_US), REMAPPED)
    assert dialog.peer == REMAPPED


def test_without_nat_a_request_from_elsewhere_does_not_move_the_peer():
    probe = Probe()
    dialog = talk(probe, Nat.NO)
    before = dialog.peer
    probe.receive(from_home("INFO", 2, to=TO_US), REMAPPED)
    assert dialog.peer == before


@pytest.mark.parametrize(
    "forged",
    [
        from_home("INFO", 3, to="<sip:4420@192.0.2.1>;tag=guessed"),
        from_home("INFO", 3, to=TO_US, from_="<sip:4930@192.0.2.10>;tag=guessed"),
        from_home("INFO", 3, to=TO_US, call_id="guessed"),
        from_home("INFO", 2, to=TO_US),  # the CSeq of an earlier request: a replayed one
        from_home("INFO", 1, to=TO_US),
        from_home("ACK", 1, to=TO_US),
        from_home("CANCEL", 1),
        from_home("INVITE", 3),
    ],
    ids=["our tag", "their tag", "Call-ID", "CSeq used", "CSeq old", "ACK", "CANCEL", "outside the dialog"],
)
def test_a_request_of_another_dialog_does_not_move_the_peer(forged):
    probe = Probe()
    dialog = talk(probe)
    probe.receive(from_home("INFO", 2, to=TO_US, via=HOME_VIA.format("first")), OUTSIDE)
    probe.receive(forged, UNKNOWN_SOURCE)
    assert dialog.peer == OUTSIDE


@pytest.mark.parametrize(
    ("contact", "goes_to"),
    [
        ("", OUTSIDE),
        (HOME_CONTACT, OUTSIDE),
        (HOME_CONTACT.replace(">", ";transport=udp>"), OUTSIDE),
        (HOME_CONTACT.replace(">", ";transport=tcp>"), CONNECTION),
    ],
)
def test_a_large_request_over_a_connection_moves_the_peer_only_where_its_contact_names_tcp(contact, goes_to):
    """Section 18.1.1: only what is too large for UDP takes the connection, which is closed when it is idle."""
    probe = Probe(listeners=BOTH)
    dialog = talk(probe)
    event = probe.receive(from_home("INFO", 2, to=TO_US, headers=contact), CONNECTION)
    assert dialog.peer == goes_to
    event.transaction.respond(200, "ours", "", probe.now)
    assert probe.sent()[-1].peer == CONNECTION
    probe.receive(from_home("INFO", 3, to=TO_US), OUTSIDE)
    assert dialog.peer == OUTSIDE


@pytest.mark.parametrize(
    ("began_at", "source", "goes_to"),
    [
        (CONNECTION, OUTSIDE, OUTSIDE),
        (CONNECTION, UNKNOWN_SOURCE, CONNECTION),
        (CONNECTION, CONNECTION._replace(port=50_001), CONNECTION),
        (OUTSIDE, CONNECTION, OUTSIDE),
    ],
)
def test_an_ack_over_udp_shows_that_only_the_invite_was_large(began_at, source, goes_to):
    probe = Probe(listeners=BOTH)
    dialog = talk(probe, source=began_at)
    probe.receive(from_home("ACK", 1, to=TO_US, via=HOME_VIA.format("ack")), source)
    assert dialog.peer == goes_to
