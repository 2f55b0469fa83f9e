"""Connections against the real daemon: a test client over TCP and over TLS of its own, well-behaved and not."""

import socket
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from doubles.certificates import Authority
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OFFER, OutgoingCall, Peer
from doubles.stream_peer import StreamPeer

from .addresses import (
    CONNECTED_SWITCH,
    CUSTOMERS,
    NETWORK,
    SECURE_CONNECTED_SWITCH,
    SECURE_SWITCH,
    UNKNOWN_SOURCE,
    VENDORS,
    VERSATILE_SWITCH,
)
from .conditions import eventually
from .expectations import HOLD_TIME_PRECISION_MS, answered, check
from .stage import Stage, versatile_stage

QUIET_S = 0.2
"""Longer than an answer takes on this machine."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stage(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with versatile_stage(
        tmp_path_factory.mktemp("connections"), authority, CONNECTED_SWITCH, SECURE_CONNECTED_SWITCH
    ) as stage:
        yield stage


@pytest.fixture
def doomed(authority: Authority, tmp_path: Path) -> Iterator[Stage]:
    """A switch that will be killed."""
    with versatile_stage(tmp_path, authority, VERSATILE_SWITCH, SECURE_SWITCH) as stage:
        yield stage


@pytest.fixture
def customer(stage: Stage) -> Iterator[StreamPeer]:
    with StreamPeer(stage.endpoint_of("acme")) as peer:
        yield peer


@pytest.fixture
def secure_customer(stage: Stage, authority: Authority) -> Iterator[StreamPeer]:
    certificate = authority.issue("customer", CUSTOMERS["acme"])
    server, client = authority.server_context(certificate), authority.client_context(certificate)
    with StreamPeer(stage.endpoint_of("acme"), server, client) as peer:
        yield peer


@pytest.fixture
def tcp_vendor() -> Iterator[StreamPeer]:
    with StreamPeer(VENDORS["carrier-tcp"]) as peer:
        yield peer


@pytest.fixture
def tls_vendor(authority: Authority) -> Iterator[StreamPeer]:
    """A vendor that wants to see our certificate."""
    certificate = authority.issue("vendor", VENDORS["carrier-tls"].host)
    server, client = authority.server_context(certificate, asks=True), authority.client_context(certificate)
    with StreamPeer(VENDORS["carrier-tls"], server, client) as peer:
        yield peer


def expect_an_answered_call(
    stage: Stage, call: OutgoingCall, vendor: Peer, gateway: str, trunk: str = "acme-pbx"
) -> None:
    call.invite()
    invite = vendor.expect("INVITE")
    vendor.reply(invite, 180, tag="vendor")
    vendor.reply(invite, 200, tag="vendor", body=ANSWER)
    call.answered()
    vendor.expect("ACK")
    answered_at = monotonic()  # a shorter call may cost the vendor something and the customer nothing
    eventually(lambda: 1_000 * (monotonic() - answered_at) > 2 * HOLD_TIME_PRECISION_MS, "a call that is charged")
    bye_cseq = 2
    call.send(call.request("BYE", bye_cseq))
    vendor.reply(vendor.expect("BYE"), 200)
    call.peer.final_response(f"{bye_cseq} BYE", call.call_id)
    stage.expect_nothing_left()
    check(stage.record_of(call.callee), answered(gateway, trunk=trunk))


def test_a_call_over_tls_with_certificates_on_both_sides(
    stage: Stage, secure_customer: StreamPeer, tls_vendor: StreamPeer
) -> None:
    call = OutgoingCall(secure_customer, SECURE_CONNECTED_SWITCH, stage.number("4430"))
    expect_an_answered_call(stage, call, tls_vendor, "carrier-tls")
    assert (secure_customer.connections, tls_vendor.connections) == (1, 1)


def test_a_trunk_is_known_by_its_certificate_from_any_address_and_by_nothing_else(
    stage: Stage, authority: Authority, tls_vendor: StreamPeer
) -> None:
    def connected(name: str | None) -> StreamPeer:
        shown = None if name is None else authority.issue(name, f"{name}.customer.example")
        return StreamPeer(UNKNOWN_SOURCE, client=authority.client_context(shown))

    with connected("pbx") as peer:
        call = OutgoingCall(peer, SECURE_CONNECTED_SWITCH, stage.number("4430"))
        expect_an_answered_call(stage, call, tls_vendor, "carrier-tls", "certified-pbx")
    for name in ("other", None):
        with connected(name) as peer:
            call = OutgoingCall(peer, SECURE_CONNECTED_SWITCH, stage.number("4430"))
            call.invite()
            assert peer.is_left_by(SECURE_CONNECTED_SWITCH)
            assert peer.messages(0) == []
            assert stage.records("--callee", call.callee) == []


@pytest.mark.parametrize("has_its_ack", [True, False], ids=["gets its BYE", "gets its answer again"])
def test_a_trunk_by_certificate_whose_connection_is_lost_is_reached_where_it_shows_that_name(
    doomed: Stage, authority: Authority, has_its_ack: bool
) -> None:
    """The certificate of the customer does not bear the address of its Contact."""
    certificate = authority.issue("pbx", "pbx.customer.example")
    server, client = authority.server_context(certificate), authority.client_context(certificate)
    with StreamPeer(UNKNOWN_SOURCE, server, client) as peer, Peer(VENDORS["carrier-a"]) as vendor:
        call = OutgoingCall(peer, SECURE_SWITCH, doomed.number("4410"))
        call.invite()
        invite = vendor.expect("INVITE")
        vendor.reply(invite, 200, tag="vendor", body=ANSWER)
        if has_its_ack:
            call.answered()
        else:
            peer.expect(200)
        vendor.expect("ACK")
        doomed.daemon.kill()
        peer.hang_up_on(SECURE_SWITCH)
        doomed.daemon.start()
        if not has_its_ack:
            call.answered()
        vendor.hang_up(invite, "vendor")
        passing = [200] if has_its_ack else []  # the journal may not have the ACK
        peer.reply(peer.expect("BYE", passing=passing), 200)
        vendor.expect(200)
        doomed.expect_nothing_left()
        doomed.expect_timers_run_out()


def test_a_trunk_by_certificate_whose_connection_is_lost_is_reached_at_a_contact_at_another_host(
    doomed: Stage, authority: Authority
) -> None:
    """The certificate bears neither address: what the connection of the INVITE had proven counts there as well."""
    certificate = authority.issue("pbx", "pbx.customer.example")
    server, client = authority.server_context(certificate), authority.client_context(certificate)
    with (
        StreamPeer(UNKNOWN_SOURCE, server, client) as peer,
        StreamPeer(UNKNOWN_SOURCE._replace(host=f"{NETWORK}.98"), server, client) as elsewhere,
        Peer(VENDORS["carrier-a"]) as vendor,
    ):
        call = OutgoingCall(peer, SECURE_SWITCH, doomed.number("4410"))
        offer = call.request("INVITE", body=OFFER)
        call.send(offer.replace(f"@{peer.contact}>", f"@{elsewhere.contact}>"))
        invite = vendor.expect("INVITE")
        vendor.reply(invite, 200, tag="vendor", body=ANSWER)
        call.answered()
        vendor.expect("ACK")
        doomed.daemon.kill()
        peer.hang_up_on(SECURE_SWITCH)
        doomed.daemon.start()
        vendor.hang_up(invite, "vendor")
        elsewhere.reply(elsewhere.expect("BYE"), 200)
        vendor.expect(200)
        doomed.expect_nothing_left()
        doomed.expect_timers_run_out()


@pytest.mark.parametrize("is_killed", [True, False], ids=["by a kill", "by its peer"])
def test_a_trunk_by_certificate_whose_connection_is_lost_while_it_rings_gets_the_final_response(
    doomed: Stage, authority: Authority, is_killed: bool
) -> None:
    """It goes to the port in the Via of the INVITE, where the certificate does not bear the address."""
    certificate = authority.issue("pbx", "pbx.customer.example")
    server, client = authority.server_context(certificate), authority.client_context(certificate)
    with StreamPeer(UNKNOWN_SOURCE, server, client) as peer, Peer(VENDORS["carrier-a"]) as vendor:
        call = OutgoingCall(peer, SECURE_SWITCH, doomed.number("4410"))
        call.invite()
        invite = vendor.expect("INVITE")
        vendor.reply(invite, 180, tag="vendor")
        peer.expect(180)
        if is_killed:
            doomed.daemon.kill()
        peer.hang_up_on(SECURE_SWITCH)
        if is_killed:
            doomed.daemon.start()
            vendor.reply(vendor.expect("CANCEL"), 200)
        vendor.reply(invite, 487 if is_killed else 486, tag="vendor")
        vendor.expect("ACK")
        assert call.refused().status == (503 if is_killed else 486)
        doomed.expect_nothing_left()
        doomed.expect_timers_run_out()


def test_a_vendor_with_an_authority_of_its_own_is_called_by_its_identity(stage: Stage, customer: StreamPeer) -> None:
    """It wants a certificate that it has issued itself, and shows one for a name that leads nowhere."""
    private = Authority.again(stage.daemon.directory, "private")
    certificate = private.issue("theirs", "sip.private.example")
    server, client = private.server_context(certificate, asks=True), private.client_context(certificate)
    with StreamPeer(VENDORS["carrier-private"], server, client) as vendor:
        call = OutgoingCall(customer, CONNECTED_SWITCH, stage.number("4450"))
        expect_an_answered_call(stage, call, vendor, "carrier-private")


def test_a_caller_over_udp_reaches_a_vendor_over_tls(stage: Stage, tls_vendor: StreamPeer) -> None:
    with Peer(stage.endpoint_of("acme")) as customer:
        call = OutgoingCall(customer, CONNECTED_SWITCH, stage.number("4430"))
        expect_an_answered_call(stage, call, tls_vendor, "carrier-tls")


def test_calls_of_one_trunk_share_its_connections(stage: Stage, customer: StreamPeer, tcp_vendor: StreamPeer) -> None:
    for _ in range(3):
        call = OutgoingCall(customer, CONNECTED_SWITCH, stage.number("4420"))
        expect_an_answered_call(stage, call, tcp_vendor, "carrier-tcp")
    assert (customer.connections, tcp_vendor.connections) == (1, 1)


def test_nothing_is_said_twice_on_a_connection(stage: Stage, customer: StreamPeer, tcp_vendor: StreamPeer) -> None:
    """RFC 3261 17.1.1.2: timer A runs over unreliable transports alone; T1 is 50 ms here."""
    call = OutgoingCall(customer, CONNECTED_SWITCH, stage.number("4420"))
    call.invite()
    invite = tcp_vendor.expect("INVITE")
    assert tcp_vendor.messages(5 * QUIET_S) == []
    tcp_vendor.reply(invite, 486, tag="vendor")
    tcp_vendor.expect("ACK")
    assert call.refused().status == 486
    stage.expect_nothing_left()


def test_the_callee_hangs_up_on_the_callers_own_connection(
    stage: Stage, customer: StreamPeer, tcp_vendor: StreamPeer
) -> None:
    """The caller's Contact may not be reachable from outside; the connection is there."""
    call = OutgoingCall(customer, CONNECTED_SWITCH, stage.number("4420"))
    call.invite()
    invite = tcp_vendor.expect("INVITE")
    tcp_vendor.reply(invite, 200, tag="vendor", body=ANSWER)
    call.answered()
    tcp_vendor.expect("ACK")
    tcp_vendor.hang_up(invite, "vendor")
    customer.reply(customer.expect("BYE"), 200)
    tcp_vendor.expect(200)
    assert customer.connections == 1
    stage.expect_nothing_left()


def test_several_messages_in_one_segment_are_all_answered(stage: Stage, customer: StreamPeer) -> None:
    call = OutgoingCall(customer, CONNECTED_SWITCH, stage.number("4420"))
    call.send(call.request("OPTIONS", 1, branch="one") + call.request("OPTIONS", 2, branch="two"))
    assert {customer.expect(200)["CSeq"], customer.expect(200)["CSeq"]} == {"1 OPTIONS", "2 OPTIONS"}


def test_a_keep_alive_is_answered_between_messages(stage: Stage, customer: StreamPeer) -> None:
    """RFC 5626 4.4.1."""
    call = OutgoingCall(customer, CONNECTED_SWITCH, stage.number("4420"))
    line = customer.line_to(CONNECTED_SWITCH)
    customer.send(b"\r\n\r\n", CONNECTED_SWITCH)

    def blank_lines() -> int:
        assert customer.messages(QUIET_S) == []
        return line.take_blank()

    assert eventually(blank_lines, "the answer to the keep-alive") == 1
    call.send(call.request("OPTIONS"))
    customer.expect(200)


@pytest.mark.parametrize(
    "junk",
    [b"\x16\x03\x01\x00\xa5\x01", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 3_000, b"A" * 20_000],
    ids=lambda junk: repr(junk[:12]),
)
def test_junk_is_not_answered_and_loses_its_connection(stage: Stage, customer: StreamPeer, junk: bytes) -> None:
    customer.send(junk, CONNECTED_SWITCH)
    assert customer.is_left_by(CONNECTED_SWITCH)
    assert customer.messages(0) == []


def test_a_content_length_beyond_all_limits_is_refused_and_loses_its_connection(
    stage: Stage, customer: StreamPeer
) -> None:
    call = OutgoingCall(customer, CONNECTED_SWITCH, stage.number("4420"))
    call.send(call.request("OPTIONS").replace("Content-Length: 0", "Content-Length: 4000000000"))
    assert customer.expect(400, passing=[513])["CSeq"] == "1 OPTIONS"
    assert customer.is_left_by(CONNECTED_SWITCH)


@pytest.mark.parametrize("address", [CONNECTED_SWITCH, SECURE_CONNECTED_SWITCH], ids=["tcp", "tls"])
def test_an_unknown_source_is_not_answered_and_loses_its_connection(
    stage: Stage, authority: Authority, address: Endpoint
) -> None:
    client = authority.client_context() if address == SECURE_CONNECTED_SWITCH else None
    with StreamPeer(UNKNOWN_SOURCE, client=client) as unknown:
        call = OutgoingCall(unknown, address, stage.number("4420"))
        call.invite()
        assert unknown.is_left_by(address)
        assert unknown.messages(0) == []
    assert stage.records("--callee", call.callee) == []


def test_a_vendor_that_breaks_the_connection_before_it_answers_is_passed_over(stage: Stage) -> None:
    with (
        StreamPeer(VENDORS["carrier-away"]) as breaking,
        Peer(VENDORS["carrier-b"]) as other,
        StreamPeer(stage.endpoint_of("acme")) as customer,
    ):
        call = OutgoingCall(customer, CONNECTED_SWITCH, stage.number("4440"))
        call.invite()
        breaking.hang_up_on(breaking.expect("INVITE").source)
        invite = other.expect("INVITE")
        other.reply(invite, 486, tag="other")
        other.expect("ACK")
        assert call.refused().status == 486
    stage.expect_nothing_left()
    assert [attempt["gateway"] for attempt in stage.record_of(call.callee)["attempts"]] == ["carrier-away", "carrier-b"]


def test_a_bye_to_a_vendor_that_breaks_its_connection_arrives_over_the_next_one(
    stage: Stage, customer: StreamPeer, tcp_vendor: StreamPeer
) -> None:
    """A vendor that is not told of the end of a call bills on."""
    call = OutgoingCall(customer, CONNECTED_SWITCH, stage.number("4420"))
    call.invite()
    tcp_vendor.reply(tcp_vendor.expect("INVITE"), 200, tag="vendor", body=ANSWER)
    call.answered()
    tcp_vendor.expect("ACK")
    call.send(call.request("BYE", 2))
    lost = tcp_vendor.expect("BYE")
    tcp_vendor.hang_up_on(lost.source)
    again = tcp_vendor.expect("BYE")
    assert again.source != lost.source
    tcp_vendor.reply(again, 200)
    call.peer.final_response("2 BYE", call.call_id)
    stage.expect_nothing_left()


def test_hundreds_of_connections_leave_room_for_calls(
    stage: Stage, customer: StreamPeer, tcp_vendor: StreamPeer
) -> None:
    def connected(host: str) -> socket.socket:
        return socket.create_connection(CONNECTED_SWITCH, source_address=(host, 0))

    crowd = [connected(host) for host in (UNKNOWN_SOURCE.host, CUSTOMERS["acme"]) for _ in range(300)]
    call = OutgoingCall(customer, CONNECTED_SWITCH, stage.number("4420"))
    expect_an_answered_call(stage, call, tcp_vendor, "carrier-tcp")
    for sock in crowd:
        sock.close()
