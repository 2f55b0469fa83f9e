"""Route sets and targets: how each request of a dialog is addressed, and where it goes (RFC 3261 section 12.2.1.1)."""

import pytest
from doubles.virtual.probe import CUSTOMER, VENDOR, Keeper, Probe, read_request, reply, request, straight

from vosd.base.nat import Nat
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.nat import is_behind_nat
from vosd.sip.wire.message import Request, Response
from vosd.sip.wire.outgoing import Peer
from vosd.sip.wire.parse import parse_message

CONTACT = "sip:4930@192.0.2.10:5060"


def read_response(data: bytes) -> Response:
    message = parse_message(data)
    assert isinstance(message, Response)
    return message


def with_caller(*record_routes: str) -> Dialog:
    """Return the dialog of an INVITE that passed proxies, the nearest to us first; one header line each."""
    headers = "".join(f"Record-Route: {route}\r\n" for route in record_routes)
    return Dialog.of_caller(read_request(request(headers=headers)), "ours", CUSTOMER, straight)


def with_vendor(probe: Probe, status: int = 200, headers: str = "") -> Dialog:
    """Return the dialog that a vendor's response establishes; ``headers`` hold its Record-Route and Contact."""
    transaction = probe.call_vendor(Keeper())
    response = read_response(reply(probe.log[0], status, headers=headers))
    return Dialog.of_callee(transaction.parts, "ours", response, straight)


def bye_of(dialog: Dialog) -> Request:
    return read_request(dialog.request("BYE", "SIP/2.0/UDP us;branch=b", 2, ""))


def routes_of(message: Request) -> list[str]:
    return list(message.headers("route"))


# -- loose, strict and mixed --------------------------------------------------------------------------------------


def test_without_routes_a_request_is_for_the_target_and_goes_there():
    bye = bye_of(with_caller())
    assert (bye.uri, routes_of(bye)) == (CONTACT, [])
    assert with_caller().peer == CUSTOMER


def test_loose_routers_stand_in_route_and_the_target_in_the_request_line():
    dialog = with_caller("<sip:192.0.2.50;lr>", "<sip:192.0.2.51:5070;lr>")
    bye = bye_of(dialog)
    assert (bye.uri, routes_of(bye)) == (CONTACT, ["<sip:192.0.2.50;lr>", "<sip:192.0.2.51:5070;lr>"])
    assert dialog.peer == Peer(0, "192.0.2.50", 5060)


@pytest.mark.parametrize("unreadable", ["<>", "", "<sip:>", "garbage", "<tel:+4930>", "<sip:x@[::1>"])
def test_a_record_route_without_a_readable_uri_is_no_router(unreadable):
    """As the first one, and without ``lr``, it would stand in the request line."""
    kept = "<sip:192.0.2.50;lr>"
    for dialog, routes in (
        (with_caller(unreadable), []),
        (with_caller(unreadable, kept), [kept]),
        (with_vendor(Probe(), headers=f"Record-Route: {unreadable}\r\nContact: <{CONTACT}>\r\n"), []),
        (with_vendor(Probe(), headers=f"Record-Route: {kept}, {unreadable}\r\nContact: <{CONTACT}>\r\n"), [kept]),
    ):
        bye = bye_of(dialog)
        assert (bye.uri, routes_of(bye)) == (CONTACT, routes)


@pytest.mark.parametrize("odd", ["sip:192.0.2.50:;lr", "sip:2001:db8::1;lr=on", 'sip:192.0.2.50;lr;x="a b"'])
def test_a_loose_router_that_writes_no_readable_uri_gets_it_back_where_it_was_seen(odd):
    """The proxy reads its own URI, and does not forward a BYE without it."""
    kept = "<sip:192.0.2.51;lr>"
    for dialog, seen in (
        (with_caller(f"<{odd}>", kept), CUSTOMER),
        (with_vendor(Probe(), headers=f"Record-Route: {kept}, <{odd}>\r\nContact: <{CONTACT}>\r\n"), VENDOR),
    ):
        bye = bye_of(dialog)
        assert (bye.uri, routes_of(bye), dialog.peer) == (CONTACT, [f"<{odd}>", kept], seen)


def test_a_peer_whose_record_route_cannot_be_read_is_behind_nat_by_its_contact():
    headers = "Record-Route: <>\r\nContact: <sip:4930@10.0.0.8>\r\n"
    transaction = (probe := Probe()).call_vendor(Keeper())
    response = read_response(reply(probe.log[0], 200, headers=headers))
    assert is_behind_nat(Nat.AUTO, response, transaction.parts.peer)


def test_a_strict_router_stands_in_the_request_line_and_the_target_last_in_route():
    dialog = with_caller("<sip:192.0.2.50>", "<sip:192.0.2.51:5070>")
    bye = bye_of(dialog)
    assert (bye.uri, routes_of(bye)) == ("sip:192.0.2.50", ["<sip:192.0.2.51:5070>", f"<{CONTACT}>"])
    assert dialog.peer == Peer(0, "192.0.2.50", 5060)


def test_a_single_strict_router_leaves_only_the_target_in_route():
    bye = bye_of(with_caller("<sip:192.0.2.50:5070;transport=udp>"))
    assert (bye.uri, routes_of(bye)) == ("sip:192.0.2.50:5070;transport=udp", [f"<{CONTACT}>"])


def test_the_nearest_router_decides_which_way_it_is_done():
    """Section 16.12.1.2: a strict one further on is a loose one's to deal with, and the other way round."""
    loose_first = bye_of(with_caller("<sip:192.0.2.50;lr>", "<sip:192.0.2.51>"))
    assert (loose_first.uri, routes_of(loose_first)) == (CONTACT, ["<sip:192.0.2.50;lr>", "<sip:192.0.2.51>"])
    strict_first = bye_of(with_caller("<sip:192.0.2.51>", "<sip:192.0.2.50;lr>"))
    assert (strict_first.uri, routes_of(strict_first)) == (
        "sip:192.0.2.51", ["<sip:192.0.2.50;lr>", f"<{CONTACT}>"],
    )  # fmt: skip


def test_what_a_request_line_may_not_have_is_left_out_of_a_strict_routers_uri():
    """Section 12.2.1.1, table 1 of section 19.1.1."""
    bye = bye_of(with_caller('"Edge, east" <sip:192.0.2.50;maddr=192.0.2.51?Subject=x>;param=1'))
    assert bye.uri == "sip:192.0.2.50;maddr=192.0.2.51"
    assert bye_of(with_caller("<nonsense>", "<sip:192.0.2.50>")).header("route")


@pytest.mark.parametrize("lr", [";lr", ";LR", ";lr=on", "; lr", ";x=y;lr;z", ";lr=true;ftag=1"])
def test_a_loose_router_is_known_by_lr_in_any_spelling(lr):
    assert bye_of(with_caller(f"<sip:192.0.2.50{lr}>")).uri == CONTACT


@pytest.mark.parametrize("not_lr", [";lrx", ";xlr", ";x=lr", ";l=r"])
def test_what_only_looks_like_lr_is_none(not_lr):
    assert bye_of(with_caller(f"<sip:192.0.2.50{not_lr}>")).uri == f"sip:192.0.2.50{not_lr}"


def test_the_routes_of_several_lines_are_one_list_in_order():
    dialog = with_caller('"a, b" <sip:192.0.2.50;lr>, <sip:192.0.2.51;lr>', "<sip:192.0.2.52;lr>")
    assert routes_of(bye_of(dialog)) == [
        '"a, b" <sip:192.0.2.50;lr>', "<sip:192.0.2.51;lr>", "<sip:192.0.2.52;lr>",
    ]  # fmt: skip


def test_the_callees_routes_are_taken_in_reverse(probe):
    """Section 12.1.2: the proxy that answers to us last stands first in the response's view."""
    headers = "Record-Route: <sip:192.0.2.52;lr>, <sip:192.0.2.51>\r\nRecord-Route: <sip:192.0.2.50;lr>\r\n"
    dialog = with_vendor(probe, headers=headers)
    assert routes_of(bye_of(dialog)) == ["<sip:192.0.2.50;lr>", "<sip:192.0.2.51>", "<sip:192.0.2.52;lr>"]
    assert dialog.peer == Peer(0, "192.0.2.50", 5060)


def test_the_route_set_is_that_of_the_first_request_and_no_later_one():
    """Section 12.2: Record-Route in a request within a dialog changes nothing."""
    dialog = with_caller("<sip:192.0.2.50;lr>")
    dialog.refresh(read_request(request(headers="Record-Route: <sip:203.0.113.66;lr>\r\n")))
    assert routes_of(bye_of(dialog)) == ["<sip:192.0.2.50;lr>"]


# -- every kind of request ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("router", "uri", "route"),
    [("<sip:192.0.2.50;lr>", CONTACT, "<sip:192.0.2.50;lr>"), ("<sip:192.0.2.50>", "sip:192.0.2.50", f"<{CONTACT}>")],
    ids=["loose", "strict"],
)
def test_a_reinvite_its_cancel_and_both_kinds_of_ack_are_routed_alike(probe, router, uri, route):
    """Sections 9.1, 13.2.2.4 and 17.1.1.3."""
    dialog = with_caller(router)
    client, owner = probe.endpoint.client, Keeper()
    cancelled = probe.invite_again(dialog, owner)
    probe.receive(reply(probe.log[0], 100))
    cancelled.abandon("", probe.now)
    probe.receive(reply(probe.log[0], 487))
    accepted = probe.invite_again(dialog, owner)
    probe.receive(reply(probe.log[-1], 200))
    client.send_ack(accepted, dialog, "", b"")
    client.send_request(dialog, "INFO", "", b"", None, probe.now)
    sent = probe.sent()
    assert [each.request.cseq for each in sent] == [
        (1, "INVITE"), (1, "CANCEL"), (1, "ACK"), (2, "INVITE"), (2, "ACK"), (3, "INFO"),
    ]  # fmt: skip
    assert {each.request.uri for each in sent} == {uri}
    assert {each.request.header("route") for each in sent} == {route}
    assert {each.peer for each in sent} == {Peer(0, "192.0.2.50", 5060)}


# -- target refresh -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_reinvite_or_update_moves_the_target(method):
    """Section 12.2.2, RFC 3311 section 5.2."""
    dialog = with_caller()
    dialog.refresh(read_request(request(method, headers="Contact: <sip:new@192.0.2.12:5080>\r\n")))
    assert bye_of(dialog).uri == "sip:new@192.0.2.12:5080"
    assert dialog.peer == Peer(0, "192.0.2.12", 5080)


def test_the_2xx_of_a_reinvite_moves_the_target_too(probe):
    """Section 12.2.1.2."""
    dialog = with_vendor(probe)
    dialog.refresh(read_response(reply(probe.log[0], 200, headers="Contact: <sip:new@198.51.100.9>\r\n")))
    assert bye_of(dialog).uri == "sip:new@198.51.100.9"
    assert dialog.peer == Peer(0, "198.51.100.9", 5060)


@pytest.mark.parametrize("router", ["<sip:192.0.2.50;lr>", "<sip:192.0.2.50>"])
def test_behind_routers_a_new_target_changes_the_address_and_not_the_way(router):
    dialog = with_caller(router)
    dialog.refresh(read_request(request(headers="Contact: <sip:new@192.0.2.12>\r\n")))
    bye = bye_of(dialog)
    assert (bye.uri, routes_of(bye)) == (
        ("sip:new@192.0.2.12", [router]) if ";lr" in router else ("sip:192.0.2.50", ["<sip:new@192.0.2.12>"])
    )
    assert dialog.peer == Peer(0, "192.0.2.50", 5060)


@pytest.mark.parametrize("contact", ["*", "<sip:a b@c>", "<never", "<mailto:x@y>", "", "<>"])
def test_a_contact_that_cannot_be_called_moves_nothing(contact):
    dialog = with_caller()
    dialog.refresh(read_request(request("UPDATE", headers=f"Contact: {contact}\r\n")))
    dialog.refresh(read_request(request("UPDATE")))
    assert (dialog.target, dialog.peer) == (CONTACT, CUSTOMER)


def test_a_refreshed_target_that_is_a_name_is_asked_for_and_else_reached_where_the_peer_was_seen():
    known = {"pbx.example": Peer(0, "192.0.2.99", 5060)}

    def way(target: str, seen: Peer) -> Peer:
        return next((peer for name, peer in known.items() if name in target), straight(target, seen))

    dialog = Dialog.of_caller(read_request(request()), "ours", CUSTOMER, way)
    dialog.refresh(read_request(request(headers="Contact: <sip:a@pbx.example>\r\n")))
    assert dialog.peer == Peer(0, "192.0.2.99", 5060)
    dialog.refresh(read_request(request(headers="Contact: <sip:a@unknown.example>\r\n")))
    assert dialog.peer == CUSTOMER


# -- a device that registers elsewhere in its call ----------------------------------------------------------------


ELSEWHERE, HOME_AGAIN = Peer(0, "203.0.113.77", 40_000), Peer(0, "192.0.2.10", 45_000)


def moved(dialog: Dialog, place: Peer = ELSEWHERE) -> Dialog:
    dialog.registered_at(place)
    return dialog


def test_a_device_that_registers_at_another_host_is_asked_there_and_not_at_its_contact():
    dialog = moved(with_caller())
    assert (dialog.peer, dialog.request_uri, dialog.has_left_contact) == (ELSEWHERE, CONTACT, True)
    assert dialog.is_where_seen, "it may move again"
    dialog = moved(dialog, ELSEWHERE._replace(host="203.0.113.78"))
    assert (dialog.peer, dialog.has_left_contact) == (ELSEWHERE._replace(host="203.0.113.78"), True)


def test_one_that_comes_back_to_the_host_of_its_contact_is_asked_at_that_again():
    """It was asked at the port that its REGISTER came from, which need not take anything."""
    dialog = moved(moved(with_caller()), HOME_AGAIN)
    assert (dialog.peer, dialog.has_left_contact) == (CUSTOMER, False)


@pytest.mark.parametrize(
    ("contact", "goes_to"),
    [
        ("sip:4931@192.0.2.10:5060", ELSEWHERE),
        ("sip:4930@203.0.113.77:5062", Peer(0, "203.0.113.77", 5062)),
        ("sip:4930@203.0.113.99", Peer(0, "203.0.113.99", 5060)),
    ],
)
def test_a_later_contact_of_another_host_is_followed_and_one_of_the_host_that_it_left_is_not(contact, goes_to):
    dialog = moved(with_caller())
    dialog.refresh(read_request(request("UPDATE", headers=f"Contact: <{contact}>\r\n")))
    assert (dialog.peer, dialog.request_uri, dialog.has_left_contact) == (goes_to, contact, goes_to == ELSEWHERE)


def test_behind_routers_a_device_that_registers_elsewhere_is_asked_by_its_route():
    """The route set of a dialog never changes; its proxy knows where the device is."""
    dialog = moved(with_caller("<sip:192.0.2.50;lr>"))
    assert (dialog.peer, dialog.seen_at, dialog.has_left_contact) == (Peer(0, "192.0.2.50", 5060), ELSEWHERE, False)
    assert routes_of(bye_of(dialog)) == ["<sip:192.0.2.50;lr>"]
    assert not dialog.is_where_seen


@pytest.mark.parametrize("router", ["<sip:192.0.2.60;lr>", "<sip:192.0.2.60>"])
def test_a_2xx_by_way_of_a_router_leads_a_device_that_has_moved_there(router, probe):
    dialog = moved(with_vendor(probe, 183, "Contact: <sip:phone@198.51.100.7:5060>\r\n"))
    assert dialog.has_left_contact
    headers = f"Record-Route: {router}\r\nContact: <sip:phone@198.51.100.7:5060>\r\n"
    dialog.confirm(read_response(reply(probe.log[0], 200, headers=headers)))
    assert (dialog.peer, dialog.has_left_contact) == (Peer(0, "192.0.2.60", 5060), False)


def test_a_router_at_a_private_address_is_reached_where_the_peer_is_seen_and_stands_in_the_route():
    headers = "Record-Route: <sip:10.0.0.5;lr>\r\nRecord-Route: <sip:192.0.2.51;lr>\r\n"
    invite = read_request(request(headers=headers))
    at_home = Dialog.of_caller(invite, "ours", CUSTOMER, straight, Nat.AUTO)
    assert (at_home.peer, at_home.is_behind_nat) == (CUSTOMER, True)
    assert routes_of(bye_of(at_home)) == ["<sip:10.0.0.5;lr>", "<sip:192.0.2.51;lr>"]
    assert Dialog.of_caller(invite, "ours", CUSTOMER, straight, Nat.NO).peer == Peer(0, "10.0.0.5", 5060)


# -- an early dialog is confirmed: section 13.2.2.4 ---------------------------------------------------------------


RINGING = "Record-Route: <sip:192.0.2.50;lr>\r\nContact: <sip:phone@198.51.100.8>\r\n"


def confirmed(probe: Probe, headers: str, **changes: str) -> Dialog:
    dialog = with_vendor(probe, 183, RINGING)
    dialog.local_sequence, dialog.remote_sequence = 3, 9
    data = reply(probe.log[0], 200, headers=headers)
    for old, new in changes.items():
        data = data.replace(old.encode(), new.encode())
    dialog.confirm(read_response(data))
    return dialog


def test_the_2xx_replaces_route_set_and_target(probe):
    headers = "Record-Route: <sip:192.0.2.60;lr>, <sip:192.0.2.61;lr>\r\nContact: <sip:desk@198.51.100.9>\r\n"
    dialog = confirmed(probe, headers)
    bye = bye_of(dialog)
    assert (bye.uri, routes_of(bye)) == ("sip:desk@198.51.100.9", ["<sip:192.0.2.61;lr>", "<sip:192.0.2.60;lr>"])
    assert dialog.peer == Peer(0, "192.0.2.61", 5060)


def test_a_2xx_without_routes_has_none(probe):
    dialog = confirmed(probe, "Contact: <sip:desk@198.51.100.9:5070>\r\n")
    assert routes_of(bye_of(dialog)) == []
    assert dialog.peer == Peer(0, "198.51.100.9", 5070)


def test_a_2xx_without_contact_leaves_the_early_target(probe):
    dialog = confirmed(probe, "", Contact="X-Contact")
    assert dialog.target == "sip:phone@198.51.100.8"
    assert dialog.peer == Peer(0, "198.51.100.8", 5060)


def test_what_was_counted_stays_when_a_dialog_is_confirmed(probe):
    dialog = confirmed(probe, "")
    assert (dialog.local_sequence, dialog.remote_sequence) == (3, 9)
    assert (dialog.remote_tag, dialog.call_id) == ("vendor", "out@192.0.2.1")


def test_without_a_contact_in_the_answer_the_invites_uri_is_the_target(probe):
    transaction = probe.call_vendor(Keeper())
    response = read_response(reply(probe.log[0], 180))
    dialog = Dialog.of_callee(transaction.parts, "ours", response, straight)
    assert (dialog.target, dialog.peer) == ("sip:4420@198.51.100.7:5060", VENDOR)
