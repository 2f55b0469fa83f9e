"""The endpoint: what is answered at once, what is dropped and counted."""

import pytest
from doubles.virtual.probe import CUSTOMER, SDP, START, UNKNOWN_SOURCE, Keeper, Peer, Probe, request

from vosd.sip.events import AlarmFired, InviteArrived, InviteRefused, RegisterArrived, UnknownSourceIgnored
from vosd.sip.flows import Listener
from vosd.sip.screening import hops_left
from vosd.sip.settings import Limits, SipSettings
from vosd.sip.wire.errors import Flaw, ParseError

SETTINGS = SipSettings(product="vosd/test")
ANSWERING = SipSettings(answers_unknown_sources=True)


@pytest.fixture
def probe() -> Probe:
    return Probe(SETTINGS)


def answer_to(probe: Probe, data: bytes, source: Peer = CUSTOMER):
    """Return the one response to a request that makes no call."""
    assert isinstance(probe.receive(data, source), InviteRefused | None)
    [sent] = probe.sent()
    return sent.response


def test_options_gets_200_with_what_we_can_do(probe):
    answer = answer_to(probe, request("OPTIONS"))
    assert answer.status == 200
    assert answer.headers("allow") == [
        "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "REFER",
    ]  # fmt: skip
    assert answer.headers("accept") == [
        "application/sdp", "multipart/mixed", "multipart/alternative", "multipart/related",
    ]  # fmt: skip
    assert answer.headers("supported") == ["100rel", "replaces", "timer"]
    assert (answer.header("accept-encoding"), answer.header("accept-language")) == ("identity", "en")
    assert answer.header("server") == "vosd/test"
    assert answer.to_tag


def test_what_is_required_of_a_proxy_is_not_required_of_us(probe):
    assert answer_to(probe, request("OPTIONS", headers="Proxy-Require: foo\r\n")).status == 200


def test_without_a_product_there_is_no_server_header():
    assert answer_to(Probe(), request("OPTIONS")).header("server") is None


@pytest.mark.parametrize("method", ["DANCE", "MESSAGE", "invite"])
@pytest.mark.parametrize("to", ["<sip:4420@192.0.2.1>", "<sip:4420@192.0.2.1>;tag=any"])
def test_a_method_that_is_not_ours_gets_405_with_allow(probe, method, to):
    """RFC 3261 section 8.2.1."""
    answer = answer_to(probe, request(method, to=to))
    assert answer.status == 405
    assert "INVITE" in answer.headers("allow")


@pytest.mark.parametrize("method", ["SUBSCRIBE", "PUBLISH"])
@pytest.mark.parametrize("to", ["<sip:4420@192.0.2.1>", "<sip:4420@192.0.2.1>;tag=any"])
def test_a_subscribe_is_answered_with_the_supported_events(probe, method, to):
    """RFC 6665 sections 4.2.1.1 and 8.2.2; in RFC 3903 the same (section 6)."""
    answer = answer_to(probe, request(method, to=to, headers="Event: dialog\r\n"))
    assert (answer.status, answer.headers("allow-events")) == (489, ["refer"])


def test_a_notify_without_subscription_gets_481(probe):
    """RFC 6665 section 4.1.3."""
    assert answer_to(probe, request("NOTIFY", headers="Event: refer\r\n")).status == 481


def test_a_notification_within_a_call_gets_489_which_ends_nothing(probe):
    """RFC 5057 section 5.1: a 481 would mean that the dialog does not exist."""
    data = request("NOTIFY", to="<sip:4420@192.0.2.1>;tag=any", headers="Event: refer\r\n")
    assert answer_to(probe, data).status == 489


def test_a_refer_outside_a_call_gets_403(probe):
    assert answer_to(probe, request("REFER")).status == 403


@pytest.mark.parametrize("method", ["INFO", "UPDATE", "PRACK"])
def test_in_dialog_methods_get_481_outside_a_dialog(probe, method):
    assert answer_to(probe, request(method)).status == 481


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "BYE"])
def test_an_extension_that_we_lack_gets_420_and_is_named(probe, method):
    """Section 8.2.2.3."""
    answer = answer_to(probe, request(method, headers="Require: 100REL, time-travel\r\nRequire: replaces, x\r\n"))
    assert (answer.status, answer.headers("unsupported")) == (420, ["time-travel", "x"])


@pytest.mark.parametrize("extension", ["100rel", "replaces", "100Rel, REPLACES"])
def test_what_we_can_may_be_required(probe, extension):
    """RFC 3262 section 3, RFC 3891 section 3."""
    assert isinstance(probe.receive(request(headers=f"Require: {extension}\r\n")), InviteArrived)


@pytest.mark.parametrize("method", ["CANCEL", "ACK"])
def test_require_is_ignored_in_ack_and_cancel(probe, method):
    probe.receive(request(method, headers="Require: time-travel\r\n"))
    assert "420" not in probe.titles()


@pytest.mark.parametrize(
    ("headers", "status", "explained_by"),
    [
        ("Content-Type: text/plain\r\n", 415, "accept"),
        ("Content-Type: multipart/alternative;boundary=x\r\n", 400, "warning"),
        ("Content-Type: multipart/mixed;boundary=x\r\n", 400, "warning"),
        ("Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n", 415, "accept-encoding"),
        ("Content-Type: multipart/mixed;boundary=x\r\nContent-Encoding: gzip\r\n", 415, "accept-encoding"),
        ("Content-Type: text/plain\r\nContent-Encoding: gzip\r\n", 415, "accept"),
    ],
)
def test_a_body_that_we_cannot_read_is_refused_with_why(probe, headers, status, explained_by):
    answer = answer_to(probe, request(headers=headers, body=SDP))
    assert answer.status == status
    assert answer.header(explained_by)


@pytest.mark.parametrize("uri", ["mailto:a@b", "urn:service:counseling", "soap.beep://h"])
@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_a_scheme_that_is_not_ours_gets_416(probe, method, uri):
    """RFC 3261 section 8.2.2.1."""
    assert answer_to(probe, request(method, uri=uri)).status == 416


def test_an_invite_that_takes_no_session_description_back_gets_406(probe):
    """RFC 4475 section 3.3.15."""
    answer = answer_to(probe, request(headers="Accept: text/plain, application/dtmf-relay\r\n", body=SDP))
    assert answer.status == 406
    assert "application/sdp" in answer.headers("accept")


@pytest.mark.parametrize("accept", ["text/plain, Application/SDP;level=1", "application/*", "*/*;q=0.1"])
def test_an_invite_that_takes_one_among_others_is_a_call(probe, accept):
    assert isinstance(probe.receive(request(headers=f"Accept: {accept}\r\n", body=SDP)), InviteArrived)


@pytest.mark.parametrize("contact", ['"a;;b" <sip:a@b>', '<sip:a@b>;x=";;"', "<sip:a@b?c=d>"])
def test_what_stands_in_quotes_and_brackets_is_no_gap(probe, contact):
    assert isinstance(probe.receive(request(headers=f"Contact: {contact}\r\n")), InviteArrived)


@pytest.mark.parametrize("kind", ["application/sdp", "Application/SDP ; charset=x"])
def test_a_session_description_is_taken_in_any_spelling(probe, kind):
    event = probe.receive(request(headers=f"Content-Type: {kind}\r\nContent-Encoding: Identity\r\n", body=SDP))
    assert isinstance(event, InviteArrived)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"from_": "<sip:4930@192.0.2.10>"}, "missing from tag"),
        ({"from_": '"open <sip:4930@192.0.2.10>;tag=1'}, "bad address"),
        ({"to": '"open <sip:4420@192.0.2.1>'}, "bad address"),
        ({"to": "<>"}, "bad address"),
        ({"cseq": "x INVITE"}, "bad cseq"),
        ({"cseq": "4294967296 INVITE"}, "cseq out of range"),
        ({"cseq": "1 BYE"}, "cseq method differs"),
        ({"call_id": "caf\u00e9"}, "bad call-id"),
        ({"call_id": "\udcff"}, "bad call-id"),
        ({"call_id": "a\x00b"}, "bad call-id"),
        ({"headers": "Require: a;b\r\n"}, "bad require"),
        ({"uri": "sip:a@b?c=d"}, "headers in the request-uri"),
        ({"uri": "<sip:a@b>"}, "bad uri"),
        ({"via": "SIP/2.0/UDP h;;branch=z9hG4bK1"}, "empty parameter in via"),
        ({"headers": "Contact: <sip:a@b>; ;\r\n"}, "empty parameter in contact"),
        ({"headers": "Contact: sip:a@b?c=d\r\n"}, "contact without angle brackets"),
        ({"headers": "no colon\r\n"}, "malformed header"),
        ({"headers": "CSeq: 1 INVITE\r\n"}, "more than one cseq"),
    ],
)
def test_a_malformed_request_gets_400_with_the_reason_and_is_counted(probe, changes, reason):
    answer = answer_to(probe, request(**changes))
    assert answer.status == 400
    assert reason in (answer.header("warning") or "").lower()
    assert [(each.label, count) for each, count in probe.endpoint.dropped.items()] == [(reason, 1)]
    assert probe.endpoint.census() == {"dialogs": 0, "transactions": 0, "timers": 0}


def test_the_refusal_of_a_malformed_call_has_a_cause_and_no_end_reason(probe):
    assert answer_to(probe, request(headers="Require: a;b\r\n")).header("reason") == "Q.850;cause=41"


@pytest.mark.parametrize("missing", ["From", "To", "Call-ID", "CSeq"])
def test_what_a_broken_request_lacks_is_not_made_up_in_its_answer(probe, missing):
    lines = [line for line in request("OPTIONS").split(b"\r\n") if not line.startswith(missing.encode() + b":")]
    probe.receive(b"\r\n".join(lines))
    [sent] = probe.sent()
    assert sent.data.startswith(b"SIP/2.0 400 Bad Request\r\nVia: ")
    assert f"\r\n{missing}:".encode() not in sent.data
    assert b"None" not in sent.data
    assert sent.data.endswith(b"Content-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "via", ["x", "", "SIP/2.0/UDP h:99999;branch=z9hG4bK1", "SIP/2.0/UDP h:0;branch=z9hG4bK1"], ids=str
)
def test_without_a_readable_via_there_is_no_answer(probe, via):
    probe.receive(request("OPTIONS", via=via or " "))
    assert probe.sent() == []
    assert probe.endpoint.dropped.total() == 1


def test_an_ack_is_never_answered_however_broken(probe):
    for changes in ({"cseq": "x"}, {"headers": "no colon\r\n"}, {"from_": "<sip:x@y>"}, {"cseq": "1 BYE"}):
        probe.receive(request("ACK", **changes))
    assert probe.sent() == []


@pytest.mark.parametrize(
    "data", [b"", b"\r\n\r\n", b"\0" * 50, b"GET / HTTP/1.1\r\n\r\n", b"SIP/2.0 abc\r\n\r\n", b"\xff" * 2_000]
)
def test_what_is_not_sip_is_dropped_and_counted(probe, data):
    assert isinstance(probe.receive(data), InviteRefused | None)
    assert probe.sent() == []
    assert probe.endpoint.dropped == {"not SIP": 1}


def test_what_is_oversized_gets_513_or_400_as_its_request_deserves():
    probe = Probe(SipSettings(limits=Limits(max_message_bytes=1_000, max_headers=20)))
    assert answer_to(probe, request(body=b"x" * 1_000)).status == 513
    assert answer_to(probe, request(headers="X: y\r\n" * 50)).status == 400
    assert probe.endpoint.dropped == {Flaw.MESSAGE_TOO_LARGE: 1, Flaw.TOO_MANY_HEADERS: 1}


def test_another_version_gets_505(probe):
    assert answer_to(probe, request("OPTIONS").replace(b" SIP/2.0\r\n", b" SIP/9.9\r\n", 1)).status == 505


def test_a_bye_or_cancel_of_nothing_gets_481(probe):
    assert answer_to(probe, request("BYE")).status == 481
    assert answer_to(probe, request("CANCEL")).status == 481


@pytest.mark.parametrize("uri", ["sip:4420@192.0.2.1;transport=UDP", "SIP:4420@192.0.2.1;TRANSPORT=udp;x"])
def test_uris_are_taken_in_any_spelling(probe, uri):
    assert isinstance(probe.receive(request(uri=uri)), InviteArrived)


def test_an_answer_that_was_given_at_once_is_given_again_to_a_repetition(probe):
    for data in (request("OPTIONS"), request("BYE", branch="z9hG4bK-bye"), request(headers="Require: x\r\n")):
        probe.receive(data)
        probe.receive(data)
        first, again = probe.sent()
        assert first == again


# -- unknown sources ----------------------------------------------------------------------------------------------


def test_an_unknown_source_is_dropped_and_reported(probe):
    event = probe.receive(request("OPTIONS"), UNKNOWN_SOURCE)
    assert event == UnknownSourceIgnored(UNKNOWN_SOURCE, "OPTIONS sip:4420@192.0.2.1", START)
    assert probe.sent() == []
    assert probe.endpoint.dropped == {"unknown source": 1}
    assert probe.endpoint.census()["transactions"] == 0


@pytest.mark.parametrize(
    "data",
    [
        request(), request("DANCE"), request("CANCEL"), request("BYE", to="<sip:x@y>;tag=guess"),
        request(to="<sip:x@y>;tag=guess"), request("DANCE", to="<sip:x@y>;tag=guess"), request(cseq="x INVITE"),
        request(headers="no colon\r\n"), request(headers="Require: x\r\n"), request("ACK"),
    ],
)  # fmt: skip
def test_no_message_of_an_unknown_source_is_answered(probe, data):
    probe.receive(data, UNKNOWN_SOURCE)
    assert probe.sent() == []


def test_where_unknown_sources_are_answered_they_get_the_same_answers():
    probe = Probe(ANSWERING)
    assert isinstance(probe.receive(request(), UNKNOWN_SOURCE), InviteArrived)
    assert answer_to(probe, request("OPTIONS"), UNKNOWN_SOURCE).status == 200
    assert answer_to(probe, request(cseq="x INVITE"), UNKNOWN_SOURCE).status == 400


def test_a_source_is_asked_for_by_address_and_port():
    asked = []
    probe = Probe(knows=lambda host, port: bool(asked.append((host, port))))
    probe.receive(request(), Peer(0, "192.0.2.10", 5_061))
    assert asked == [("192.0.2.10", 5_061)]


# -- listeners ----------------------------------------------------------------------------------------------------


def test_each_listener_names_itself_and_serves_its_own_family():
    probe = Probe(listeners=(Listener("192.0.2.1", 5060), Listener("2001:db8::1", 5062), Listener("192.0.2.2", 5064)))
    endpoint = probe.endpoint
    assert endpoint.flows.new_via(1) == "SIP/2.0/UDP [2001:db8::1]:5062;rport;branch=z9hG4bKmarktoken1"
    assert endpoint.flows.contacts[2] == "Contact: <sip:192.0.2.2:5064>\r\n"
    assert (endpoint.flows.towards("198.51.100.7"), endpoint.flows.towards("2001:db8::7")) == (0, 1)
    source = Peer(2, "192.0.2.10", 5060)
    probe.receive(request("OPTIONS"), source)
    [sent] = probe.sent()
    assert sent.peer == source, "a response leaves from where its request came in"


def test_the_census_counts_what_is_alive(probe):
    assert probe.endpoint.census() == {"dialogs": 0, "transactions": 0, "timers": 0}
    assert probe.endpoint.next_timer() is None
    probe.receive(request())
    probe.call_vendor(Keeper())
    probe.endpoint.dialogs.adopt("ours", Keeper())
    assert probe.endpoint.census() == {"dialogs": 1, "transactions": 2, "timers": 1}
    assert probe.endpoint.next_timer() == START.mono + 500


def test_an_alarm_rings_once_at_its_time_for_who_set_it(probe):
    owner, at = Keeper(), probe.now.plus(2_100)
    probe.endpoint.set_alarm(owner, at)
    assert probe.advance(2_099) == []
    assert probe.advance(1) == [AlarmFired(owner, at)]
    assert probe.advance(10_000) == []
    assert probe.endpoint.next_timer() is None


def test_a_cancelled_alarm_never_fires_and_a_fired_one_can_be_cancelled(probe):
    silenced = probe.endpoint.set_alarm(Keeper(), probe.now.plus(100))
    rung = probe.endpoint.set_alarm(Keeper(), probe.now.plus(100))
    probe.endpoint.call_off(silenced)
    assert len(probe.advance(100)) == 1
    probe.endpoint.call_off(rung)
    assert probe.endpoint.census()["timers"] == 0


@pytest.mark.parametrize(("value", "left"), [("70", 69), ("1", 0), ("0", -1), ("255", 69), ("999", 69), (None, 69)])
def test_max_forwards_goes_down_by_one_and_never_above_ours(probe, value, left):
    data = request()
    line = b"" if value is None else f"Max-Forwards: {value}\r\n".encode()
    event = probe.receive(data.replace(b"Max-Forwards: 70\r\n", line))
    assert hops_left(event.request) == left


@pytest.mark.parametrize("value", ["x", "-1", "1000", "\u0663", "1 2", ""])
def test_a_max_forwards_that_is_no_number_deserves_400(probe, value):
    event = probe.receive(request().replace(b"Max-Forwards: 70", f"Max-Forwards: {value}".encode()))
    with pytest.raises(ParseError, match="400 Bad Max-Forwards"):
        hops_left(event.request)


# -- maddr in a Via (RFC 3261 section 18.2.2) -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("via", "peer"),
    [
        ("SIP/2.0/UDP h:5070;maddr=192.0.2.77;branch=z9hG4bK-m", Peer(0, "192.0.2.77", 5070)),
        ("SIP/2.0/UDP h;maddr=192.0.2.77;rport;branch=z9hG4bK-m", Peer(0, "192.0.2.77", 5060)),
        (f"SIP/2.0/UDP h:5070;maddr={UNKNOWN_SOURCE.host};branch=z9hG4bK-m", Peer(0, CUSTOMER.host, 5070)),
        ("SIP/2.0/UDP h:5070;maddr=224.0.1.75;branch=z9hG4bK-m", Peer(0, CUSTOMER.host, 5070)),
        ("SIP/2.0/UDP h:5070;maddr=0.0.0.0;branch=z9hG4bK-m", Peer(0, CUSTOMER.host, 5070)),
        ("SIP/2.0/UDP h:5070;maddr=[2001:db8::7];branch=z9hG4bK-m", Peer(0, CUSTOMER.host, 5070)),
        ("SIP/2.0/UDP h:5070;maddr=example.net;branch=z9hG4bK-m", Peer(0, CUSTOMER.host, 5070)),
        ("SIP/2.0/UDP h:5070;maddr;branch=z9hG4bK-m", Peer(0, CUSTOMER.host, 5070)),
    ],
)
def test_a_response_goes_to_maddr_and_the_port_of_sent_by_for_a_known_peer(via, peer):
    probe = Probe()
    probe.receive(request("OPTIONS", via=via))
    assert [(sent.title, sent.peer) for sent in probe.sent()] == [("200", peer)]


def test_an_unknown_source_cannot_direct_responses_to_other_hosts():
    probe = Probe(SipSettings(answers_unknown_sources=True))
    via = "SIP/2.0/UDP 203.0.113.66:5060;maddr=192.0.2.77;branch=z9hG4bK-m"
    probe.receive(request("OPTIONS", via=via), UNKNOWN_SOURCE)
    assert [sent.peer for sent in probe.sent()] == [UNKNOWN_SOURCE]


# -- sips ---------------------------------------------------------------------------------------------------------


SIPS = "sips:4420@192.0.2.1"


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("INVITE", {"uri": SIPS}), ("INVITE", {"uri": SIPS.upper()}), ("REGISTER", {"uri": SIPS}),
        ("REGISTER", {"headers": "Contact: <sip:a@192.0.2.10>, <SIPS:a@192.0.2.10>\r\n"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_what_claims_tls_by_its_uri_and_comes_without_is_refused(method, changes, transport):
    """RFC 3261 section 26.2.2, RFC 5630: with a Warning, by which the peer may try again by ``sip:``."""
    probe = Probe(listeners=(Listener("192.0.2.1", 5060, transport),))
    data = request(method, **changes)
    event = probe.receive(data.replace(b"SIP/2.0/UDP", f"SIP/2.0/{transport.upper()}".encode()))
    if transport == "tls":
        assert isinstance(event, InviteArrived | RegisterArrived)
        return
    [sent] = probe.sent()
    assert sent.response.status == 480
    assert sent.response.header("warning") == '380 192.0.2.1:5060 "SIPS Not Allowed"'


def test_a_contact_behind_a_proxy_may_be_reached_over_tls_by_that(probe):
    headers = "Contact: <sips:a@192.0.2.10>\r\nPath: <sip:192.0.2.10;lr>\r\n"
    assert isinstance(probe.receive(request("REGISTER", headers=headers)), RegisterArrived)
