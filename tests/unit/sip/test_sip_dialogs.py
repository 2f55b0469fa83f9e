"""Dialogs: owner and peer, the order of requests, their destination, and the end of a dialog (RFC 3261 section 12)."""

import pytest
from doubles.virtual.probe import (
    CUSTOMER,
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
from vosd.sip.events import AckArrived, RequestArrived
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Response
from vosd.sip.wire.outgoing import Peer
from vosd.sip.wire.parse import parse_message

T1 = 500
GIVE_UP = 64 * T1
TO_US = "<sip:4420@192.0.2.1>;tag=ours"


def accept(probe: Probe, headers: str = "") -> tuple[Keeper, Acceptance]:
    """Take a call of the customer's and answer it."""
    event = probe.receive(request(headers=headers))
    owner = Keeper()
    owner.dialog = Dialog.of_caller(event.request, "ours", event.source, straight)
    probe.endpoint.dialogs.adopt("ours", owner)
    acceptance = probe.accept(event.transaction, owner.dialog, owner)
    probe.sent()
    return owner, acceptance


def talk(probe: Probe, headers: str = "") -> Keeper:
    """Accept a call, answer it, and receive the ACK."""
    owner, acceptance = accept(probe, headers)
    acceptance.acknowledged()
    return owner


def in_dialog(method: str, number: int = 2, **changes) -> bytes:
    changes = {"branch": f"z9hG4bK-{method}-{number}", "to": TO_US, "cseq": f"{number} {method}"} | changes
    return request(method, **changes)


# -- making one ---------------------------------------------------------------------------------------------------


def test_the_callers_dialog_is_written_from_its_invite():
    """Section 12.1.1: route set in order, remote target from Contact."""
    routes = "Record-Route: <sip:192.0.2.50;lr>, <sip:192.0.2.51;lr>\r\n"
    dialog = Dialog.of_caller(read_request(request(headers=routes)), "ours", CUSTOMER, straight)
    bye = read_request(dialog.request("BYE", "SIP/2.0/UDP us;branch=b", 1, ""))
    assert bye.uri == "sip:4930@192.0.2.10:5060"
    assert bye.headers("route") == ["<sip:192.0.2.50;lr>", "<sip:192.0.2.51;lr>"]
    assert bye.header("from") == TO_US
    assert bye.header("to") == "<sip:4930@192.0.2.10>;tag=theirs"
    assert bye.call_id == "in@192.0.2.10"
    assert dialog.peer == Peer(0, "192.0.2.50", 5060), "the first route is the next hop"


def test_the_callees_dialog_is_written_from_its_response():
    """Section 12.1.2: route set in reverse order."""
    probe = Probe()
    transaction = probe.call_vendor(Keeper())
    routes = "Record-Route: <sip:192.0.2.50;lr>, <sip:192.0.2.51:5070;lr>\r\n"
    event = probe.receive(reply(probe.log[0], 200, headers=routes), VENDOR)
    dialog = Dialog.of_callee(transaction.parts, "ours", event.response, straight)
    bye = read_request(dialog.request("BYE", "SIP/2.0/UDP us;branch=b", 2, ""))
    assert bye.uri == "sip:vendor@198.51.100.7:5060"
    assert bye.headers("route") == ["<sip:192.0.2.51:5070;lr>", "<sip:192.0.2.50;lr>"]
    assert (bye.from_tag, bye.to_tag) == ("ours", "vendor")
    assert dialog.peer == Peer(0, "192.0.2.51", 5070)


@pytest.mark.parametrize(
    "contact", ["Contact: <sip:4930@192.0.2.10", "Contact: *", "Contact: <sip:a b@c>", "Contact: <>", "Contact:"]
)
def test_an_invite_whose_contact_cannot_be_called_deserves_400(contact):
    with pytest.raises(ParseError) as caught:
        Dialog.of_caller(read_request(request(headers=f"{contact}\r\n")), "ours", CUSTOMER, straight)
    assert caught.value.status == 400


def test_an_invite_without_contact_deserves_400():
    with pytest.raises(ParseError, match="400 Missing Contact"):
        Dialog.of_caller(read_request(request("OPTIONS")), "ours", CUSTOMER, straight)


@pytest.mark.parametrize("contact", [b"X-None: 1", b"Contact: <sip:a b@c>", b"Contact: <never", b"Contact: <x:y>"])
def test_a_2xx_whose_contact_cannot_be_called_is_answered_where_the_invite_went(contact):
    probe = Probe()
    transaction = probe.call_vendor(Keeper())
    data = reply(probe.log[0], 200).replace(b"Contact: <sip:vendor@198.51.100.7:5060>", contact)
    response = parse_message(data)
    assert isinstance(response, Response)
    dialog = Dialog.of_callee(transaction.parts, "ours", response, straight)
    assert (dialog.target, dialog.peer) == (transaction.parts.uri, VENDOR)


@pytest.mark.parametrize("nat", [Nat.NO, Nat.AUTO])
@pytest.mark.parametrize("host", ["0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1", "127.8.0.1"])
def test_a_peer_is_reached_where_it_is_seen_if_it_announces_no_host_or_that_of_the_switch(host, nat):
    """Requests to it would go to a program beside the switch, to many hosts, or to none."""
    probe = Probe()
    transaction = probe.call_vendor(Keeper())
    data = reply(probe.log[0], 200)
    response = parse_message(data.replace(b"vendor@198.51.100.7:5060", f"vendor@{host}:3306;transport=tcp".encode()))
    assert isinstance(response, Response)
    parts = replace(transaction.parts, nat=nat)
    callee = Dialog.of_callee(parts, "ours", response, probe.endpoint.flows.next_hop)
    invite = read_request(request(headers=f"Contact: <sip:x@{host}:2223>\r\n"))
    caller = Dialog.of_caller(invite, "ours", CUSTOMER, probe.endpoint.flows.next_hop, nat)
    proxied = read_request(request(headers=f"Contact: <sip:x@198.51.100.9>\r\nRecord-Route: <sip:{host}:2223;lr>\r\n"))
    behind = Dialog.of_caller(proxied, "ours", CUSTOMER, probe.endpoint.flows.next_hop, nat)
    assert [each.peer for each in (callee, caller, behind)] == [VENDOR, CUSTOMER, CUSTOMER]


@pytest.mark.parametrize(
    ("contact", "target"),
    [
        ("<sip:x@192.0.2.10;transport=udp?X=y&Route=%3Csip:192.0.2.66%3E>", "sip:x@192.0.2.10;transport=udp"),
        ('"A?" <sip:x?y=z@192.0.2.10>;q=1', "sip:x?y=z@192.0.2.10"),
        ("<sip:@192.0.2.10;line=a@b>", "sip:192.0.2.10;line=a@b"),
    ],
)
def test_headers_and_an_empty_user_in_the_uri_of_a_contact_are_no_part_of_the_target(contact, target):
    """Sections 19.1.1, table 1, and 25.1: no request line may have them."""
    caller = Dialog.of_caller(read_request(request(headers=f"Contact: {contact}\r\n")), "ours", CUSTOMER, straight)
    probe = Probe()
    transaction = probe.call_vendor(Keeper())
    data = reply(probe.log[0], 200).replace(b"<sip:vendor@198.51.100.7:5060>", contact.encode())
    response = parse_message(data)
    assert isinstance(response, Response)
    callee = Dialog.of_callee(transaction.parts, "ours", response, straight)
    for dialog in (caller, callee):
        assert dialog.request("BYE", "SIP/2.0/UDP us;branch=b", 2, "").startswith(f"BYE {target} SIP/2.0\r\n".encode())
    assert not callee.refresh(response)


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        ("sip:a@198.51.100.9:5080", "198.51.100.9", 5080),
        ("sip:a@198.51.100.9", "198.51.100.9", 5060),
        ("sip:198.51.100.9;transport=UDP;lr", "198.51.100.9", 5060),
        ('"Proxy" <sip:198.51.100.9:5080;lr>;x=y', "198.51.100.9", 5080),
        ("sip:a@proxy.example.com:5080", "198.51.100.7", 5060),
        ("sip:a@999.1.1.1", "198.51.100.7", 5060),
        ("sip:a@1.2.3", "198.51.100.7", 5060),
        ("sip:a@1.2.3.4.5", "198.51.100.7", 5060),
        ("sip:a@12", "198.51.100.7", 5060),
        ("sip:a@[2001:db8::1]", "198.51.100.7", 5060),
        ("sip:a@[:::::]", "198.51.100.7", 5060),
        ("sip:a@198.51.100.9:99999", "198.51.100.7", 5060),
        ("tel:4420", "198.51.100.7", 5060),
        ("nonsense", "198.51.100.7", 5060),
        ("", "198.51.100.7", 5060),
    ],
)
def test_a_request_goes_to_an_address_that_its_flow_reaches_else_where_the_peer_was_seen(target, host, port):
    assert straight(target, VENDOR) == Peer(VENDOR.flow, host, port)


def test_an_ipv6_flow_reaches_ipv6_addresses_only():
    seen = Peer(1, "2001:db8::7", 5060)
    assert straight("sip:a@[2001:db8::9]:5070", seen) == Peer(1, "2001:db8::9", 5070)
    assert straight("sip:a@198.51.100.9", seen) == seen


# -- requests inside ----------------------------------------------------------------------------------------------


def test_a_request_that_fits_reaches_the_owner(probe):
    owner = talk(probe)
    event = probe.receive(in_dialog("BYE"))
    assert isinstance(event, RequestArrived)
    assert (event.owner, event.request.method, event.at) == (owner, "BYE", probe.now)
    assert probe.sent() == []


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "UPDATE"])
def test_other_requests_inside_reach_the_owner_too(probe, method):
    talk(probe)
    assert isinstance(probe.receive(in_dialog(method)), RequestArrived)


@pytest.mark.parametrize(
    "other",
    [{"to": "<sip:4420@192.0.2.1>;tag=unknown"}, {"call_id": "other"}, {"from_": "<sip:4930@192.0.2.10>;tag=other"}],
    ids=["our tag", "call id", "their tag"],
)
@pytest.mark.parametrize("method", ["BYE", "INVITE", "OPTIONS"])
def test_a_request_that_fits_no_dialog_gets_481(probe, method, other):
    """Section 12.2.2."""
    talk(probe)
    assert probe.receive(in_dialog(method, **other)) is None
    [answer] = probe.sent()
    assert (answer.response.status, answer.response.cseq.method) == (481, method)


@pytest.mark.parametrize("number", [0, 1])
def test_a_request_that_does_not_count_on_gets_500(probe, number):
    """Section 12.2.2."""
    talk(probe)
    assert probe.receive(in_dialog("OPTIONS", number)) is None
    assert probe.titles() == ["500"]


@pytest.mark.parametrize("number", [0, 1])
def test_a_bye_is_accepted_with_any_cseq(probe, number):
    """A deviation from section 12.2.2: its sender regards the call as over, and money would run on."""
    owner = talk(probe)
    event = probe.receive(in_dialog("BYE", number))
    assert isinstance(event, RequestArrived)
    assert (event.owner, event.request.method, owner.dialog.remote_sequence) == (owner, "BYE", 1)


def test_numbers_may_be_left_out(probe):
    owner = talk(probe)
    assert probe.receive(in_dialog("BYE", 4_711)) is not None
    assert owner.dialog.remote_sequence == 4_711


def test_an_ack_that_fits_no_dialog_is_never_answered(probe):
    talk(probe)
    for other in ({"call_id": "other"}, {"to": "<sip:4420@192.0.2.1>;tag=unknown"}, {"to": "<sip:4420@192.0.2.1>"}):
        assert probe.receive(in_dialog("ACK", 1, **other)) is None
    assert probe.sent() == []


def test_every_matching_ack_is_reported(probe):
    owner, _ = accept(probe)
    for _ in range(2):
        event = probe.receive(in_dialog("ACK", 1))
        assert isinstance(event, AckArrived)
        assert event.owner is owner


def test_the_ack_of_a_refused_reinvite_is_never_reported(probe):
    """RFC 3261 section 17.2.1, timer I: it must not pass for the ACK of a 200."""
    talk(probe)
    event = probe.receive(in_dialog("INVITE"))
    event.transaction.respond(488, "", "", probe.now)
    ack = in_dialog("ACK", branch="z9hG4bK-INVITE-2")
    for _ in range(3):
        assert probe.receive(ack) is None
        probe.advance(T1)
    assert probe.times_of("488") == [0]


def test_a_200_is_acknowledged_by_the_ack_with_its_own_number_only(probe):
    """Section 13.2.2.4: over UDP the ACK of the call's first INVITE may overtake that of a re-INVITE."""
    owner = talk(probe)
    event = probe.receive(in_dialog("INVITE"))
    acceptance = probe.accept(event.transaction, owner.dialog, owner)
    late = probe.receive(in_dialog("ACK", 1))
    right = probe.receive(in_dialog("ACK", 2))
    assert not acceptance.is_acknowledged_by(late.request)
    assert acceptance.is_acknowledged_by(right.request)


def test_a_dialogs_peer_may_have_moved_to_an_unknown_address(probe):
    owner = talk(probe)
    event = probe.receive(in_dialog("BYE"), UNKNOWN_SOURCE)
    assert event.owner is owner


# -- the end ------------------------------------------------------------------------------------------------------


def test_a_bye_that_crosses_ours_gets_200(probe):
    owner = talk(probe)
    probe.endpoint.client.send_bye(owner.dialog, "", probe.now)
    probe.endpoint.dialogs.forget("ours", probe.now)
    [ours] = probe.sent()
    assert probe.receive(in_dialog("BYE")) is None
    assert probe.titles() == ["200"]
    probe.receive(reply(ours, 200))
    assert probe.receive(in_dialog("OPTIONS", 3)) is None
    assert probe.titles() == ["481"], "only a BYE may still come"


def test_after_64_t1_a_closed_dialog_is_unknown(probe):
    talk(probe)
    probe.endpoint.dialogs.forget("ours", probe.now)
    probe.advance(GIVE_UP + T1)
    assert not any(probe.endpoint.census().values())
    probe.receive(in_dialog("BYE"))
    assert probe.titles() == ["481"]


def test_forgetting_a_dialog_twice_changes_nothing(probe):
    talk(probe)
    probe.endpoint.dialogs.forget("ours", probe.now)
    before = probe.endpoint.census()
    probe.endpoint.dialogs.forget("ours", probe.now)
    assert probe.endpoint.census() == before


def test_a_hang_up_before_the_ack_waits_for_it(probe):
    """Section 15.1.1: the callee sends no BYE before the ACK of its 2xx, or before that has timed out."""
    _, acceptance = accept(probe)
    probe.endpoint.bye_after_ack(acceptance, 'Reason: Q.850;cause=16;text="x"\r\n')
    probe.advance(600)
    assert probe.titles() == ["200"]
    assert probe.receive(in_dialog("ACK", 1)) is None
    [bye] = probe.sent()
    assert (bye.request.method, bye.request.cseq.number) == ("BYE", 1)
    assert bye.request.header("reason") == 'Q.850;cause=16;text="x"'
    assert probe.receive(in_dialog("ACK", 1)) is None
    probe.receive(reply(bye, 200))
    probe.advance(GIVE_UP + T1)
    assert probe.titles() == []
    assert not any(probe.endpoint.census().values())


def test_a_hang_up_waits_for_the_right_ack(probe):
    owner = talk(probe)
    event = probe.receive(in_dialog("INVITE"))
    acceptance = probe.accept(event.transaction, owner.dialog, owner)
    probe.endpoint.bye_after_ack(acceptance, "")
    probe.sent()
    probe.receive(in_dialog("ACK", 1))
    assert probe.titles() == []
    probe.receive(in_dialog("ACK", 2))
    assert probe.titles() == ["BYE"]


def test_a_pending_bye_without_ack_is_sent_after_64_t1_without_event(probe):
    _, acceptance = accept(probe)
    probe.endpoint.bye_after_ack(acceptance, "")
    assert probe.advance(GIVE_UP) == []
    assert probe.times_of("BYE") == [GIVE_UP]
    assert probe.endpoint.census()["dialogs"] == 0


def test_a_caller_that_hangs_up_itself_before_its_ack_gets_200_and_no_bye(probe):
    _, acceptance = accept(probe)
    probe.endpoint.bye_after_ack(acceptance, "")
    assert probe.receive(in_dialog("BYE")) is None
    assert probe.titles() == ["200"]
    probe.advance(2 * GIVE_UP)
    assert probe.titles() == []
    assert not any(probe.endpoint.census().values())


def test_while_a_hang_up_waits_nothing_else_is_taken(probe):
    _, acceptance = accept(probe)
    probe.endpoint.bye_after_ack(acceptance, "")
    assert probe.receive(in_dialog("INVITE")) is None
    assert probe.titles() == ["481"]


# -- a branch that is used again (section 17.2.3 wants a new one for each request) ------------------------------------


def test_a_re_invite_with_the_branch_of_the_invite_is_a_proposal_all_the_same(probe):
    owner = talk(probe)
    event = probe.receive(in_dialog("INVITE", branch="z9hG4bK-1"))
    assert isinstance(event, RequestArrived)
    assert event.owner is owner
    event.transaction.respond(488, "ours", "", probe.now)
    assert probe.titles() == ["488"]
    assert probe.receive(in_dialog("INVITE", branch="z9hG4bK-1")) is None
    assert probe.titles() == ["488"]


def test_a_repetition_of_the_invite_is_swallowed_after_its_2xx(probe):
    talk(probe)
    assert probe.receive(request()) is None
    assert probe.titles() == []


def test_a_second_request_with_the_branch_of_one_that_was_answered_is_another_one(probe):
    owner = talk(probe)
    for number in (2, 3):
        event = probe.receive(in_dialog("INFO", number, branch="z9hG4bK-same"))
        assert isinstance(event, RequestArrived)
        assert (event.owner, event.request.cseq.number) == (owner, number)
        event.transaction.respond(200, "ours", "", probe.now)
    assert probe.receive(in_dialog("INFO", 3, branch="z9hG4bK-same")) is None
    assert [sent.response.cseq.number for sent in probe.sent()] == [2, 3, 3]


def test_a_request_with_the_branch_of_an_open_one_gets_500_with_retry_after(probe):
    talk(probe)
    first = probe.receive(in_dialog("INVITE", branch="z9hG4bK-same"))
    assert probe.receive(in_dialog("INVITE", 3, branch="z9hG4bK-same")) is None
    [refusal] = probe.sent()
    assert (refusal.response.status, refusal.response.header("retry-after")) == (500, "1")
    first.transaction.respond(488, "ours", "", probe.now)
    assert probe.sent()[0].response.cseq == (2, "INVITE")


def test_pings_that_all_have_one_branch_are_all_answered(probe):
    for number in (1, 2, 3):
        probe.receive(request("OPTIONS", branch="z9hG4bK-ping", cseq=f"{number} OPTIONS"))
    assert [sent.response.cseq.number for sent in probe.sent()] == [1, 2, 3]
