"""What confirms or ends something is taken in spite of its faults; what begins something is not (RFC 3261 8.2.2)."""

import pytest
from doubles.virtual.probe import CUSTOMER, SDP, UNKNOWN_SOURCE, VENDOR, Keeper, Probe, reply, request, straight

from vosd.sip.dialog.acceptance import Acceptance
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.events import AckArrived, CancelArrived, InviteArrived, RequestArrived, ResponseArrived
from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.outgoing import Peer
from vosd.sip.wire.parse import parse_message

TO_US = "<sip:4420@192.0.2.1>;tag=ours"

FAULTS = {
    "a line without colon": lambda data: with_line(data, b"no colon at all"),
    "a name with a blank": lambda data: with_line(data, b"two words: x"),
    "a second Max-Forwards": lambda data: with_line(data, b"Max-Forwards: 70"),
    "a second Content-Length": lambda data: with_line(data, b"Content-Length: 7"),
    "a bare carriage return": lambda data: with_line(data, b"X-Bare: a\rb"),
    "a bad Content-Length": lambda data: data.replace(b"Content-Length: 0", b"Content-Length: none"),
    "too large a Content-Length": lambda data: data.replace(b"Content-Length: 0", b"Content-Length: 1000"),
    "a line too long": lambda data: with_line(data, b"X-Long: " + b"x" * 9_000),
    "no empty line at the end": lambda data: data.removesuffix(b"\r\n"),
    "a last line that is cut": lambda data: data.removesuffix(b": 0\r\n\r\n"),
    "a number without end": lambda data: data.replace(b"CSeq: 2 ", b"CSeq: 99999999999 "),
    "no number in CSeq": lambda data: data.replace(b"CSeq: 2 ", b"CSeq: "),
    "another method in CSeq": lambda data: data.replace(b"CSeq: 2 ", b"CSeq: 2 X"),
    "an empty parameter in Via": lambda data: data.replace(b";branch=", b";;branch="),
    "headers in the Request-URI": lambda data: data.replace(b"@192.0.2.1 SIP", b"@192.0.2.1?a=b SIP"),
    "a blank at the end of the first line": lambda data: data.replace(b" SIP/2.0\r\n", b" SIP/2.0 \r\n", 1),
    "a Contact that is none": lambda data: with_line(data, b"Contact: a?b=;;"),
    "an extension": lambda data: with_line(data, b"Require: foo"),
    "an extension without name": lambda data: with_line(data, b"Require: ;"),
}


def with_line(data: bytes, line: bytes) -> bytes:
    return data.replace(b"\r\nMax-Forwards:", b"\r\n" + line + b"\r\nMax-Forwards:", 1)


def answered(probe: Probe, number: int = 1) -> tuple[Keeper, Acceptance]:
    """Answer an INVITE with this CSeq number."""
    event = probe.receive(request(cseq=f"{number} INVITE"))
    owner = Keeper()
    owner.dialog = Dialog.of_caller(event.request, "ours", event.source, straight)
    probe.endpoint.dialogs.adopt("ours", owner)
    acceptance = probe.accept(event.transaction, owner.dialog, owner)
    probe.sent()
    return owner, acceptance


def within(method: str, number: int = 2, **changes) -> bytes:
    changes = {"branch": f"z9hG4bK-{method}", "to": TO_US, "cseq": f"{number} {method}"} | changes
    return request(method, **changes)


@pytest.mark.parametrize("spoil", FAULTS.values(), ids=FAULTS)
def test_a_bye_ends_its_dialog_whatever_else_is_wrong_with_it(probe, spoil):
    owner, _ = answered(probe)
    data = spoil(within("BYE"))
    assert data != within("BYE")
    event = probe.receive(data)
    assert isinstance(event, RequestArrived)
    assert (event.owner, event.request.method) == (owner, "BYE")
    event.transaction.respond(200, "ours", "", probe.now)
    assert probe.sent()[-1].response.status == 200


@pytest.mark.parametrize("spoil", FAULTS.values(), ids=FAULTS)
def test_a_prack_confirms_whatever_else_is_wrong_with_it(probe, spoil):
    owner, _ = answered(probe)
    data = within("PRACK", headers="RAck: 1 1 INVITE\r\n")
    assert spoil(data) != data
    event = probe.receive(spoil(data))
    assert isinstance(event, RequestArrived)
    assert event.owner is owner


@pytest.mark.parametrize("spoil", FAULTS.values(), ids=FAULTS)
def test_an_ack_confirms_our_200_whatever_else_is_wrong_with_it(probe, spoil):
    owner, acceptance = answered(probe, 2)
    data = spoil(within("ACK"))
    assert data != within("ACK")
    event = probe.receive(data)
    assert isinstance(event, AckArrived)
    assert event.owner is owner
    assert acceptance.is_acknowledged_by(event.request)


@pytest.mark.parametrize("spoil", FAULTS.values(), ids=FAULTS)
def test_the_bye_that_waits_for_an_ack_is_sent_whatever_else_is_wrong_with_it(probe, spoil):
    _, acceptance = answered(probe, 2)
    probe.endpoint.bye_after_ack(acceptance, "")
    assert probe.receive(spoil(within("ACK"))) is None
    assert probe.titles() == ["BYE"]


@pytest.mark.parametrize("spoil", FAULTS.values(), ids=FAULTS)
def test_a_cancel_gives_its_invite_up_whatever_else_is_wrong_with_it(probe, spoil):
    event = probe.receive(request())
    event.transaction.owner = Keeper()
    cancel = request("CANCEL", branch="z9hG4bK-1", cseq="2 CANCEL")
    assert spoil(cancel) != cancel
    assert isinstance(probe.receive(spoil(cancel)), CancelArrived)
    assert probe.sent()[-1].response.status == 200


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_bye_of_nobodys_dialog_is_refused_as_any_request(probe, name):
    probe.receive(FAULTS[name](within("BYE")))
    [answer] = probe.sent()
    assert answer.response.status == (420 if name == "an extension" else 400)


def test_a_bye_whose_via_cannot_be_read_is_answered_where_it_came_from(probe):
    owner, _ = answered(probe)
    event = probe.receive(within("BYE", via='SIP/2.0/UDP 192.0.2.10:0;branch=z9hG4bK-b;x="open'), CUSTOMER)
    assert isinstance(event, RequestArrived)
    assert event.owner is owner
    event.transaction.respond(200, "ours", "", probe.now)
    assert probe.sent()[-1].peer == CUSTOMER


def test_a_faulty_bye_that_is_repeated_gets_its_answer_again(probe):
    answered(probe)
    data = within("BYE", headers="no colon\r\n")
    probe.receive(data).transaction.respond(200, "ours", "", probe.now)
    probe.endpoint.dialogs.forget("ours", probe.now)
    assert probe.receive(data) is None
    assert probe.titles() == ["200", "200"]


@pytest.mark.parametrize("changes", [{"to": "<sip:4420@192.0.2.1>;tag=other"}, {"from_": "<sip:a@b>;tag=x"}])
def test_the_tags_are_needed_and_nothing_stands_in_for_them(probe, changes):
    answered(probe)
    assert probe.receive(within("BYE", headers="no colon\r\n", **changes)) is None
    assert probe.titles() == ["400"]


def test_a_bye_without_call_id_is_refused(probe):
    answered(probe)
    assert probe.receive(within("BYE").replace(b"Call-ID: in@192.0.2.10\r\n", b"")) is None
    assert probe.log[-1].data.startswith(b"SIP/2.0 400 ")


def test_another_version_is_another_protocol(probe):
    answered(probe)
    assert probe.receive(within("BYE").replace(b" SIP/2.0\r\n", b" SIP/3.0\r\n", 1)) is None
    assert probe.titles() == ["505"]


def test_an_unknown_body_is_refused_in_a_prack_as_well(probe):
    answered(probe)
    headers = "RAck: 1 1 INVITE\r\nContent-Type: text/plain\r\nno colon\r\n"
    assert probe.receive(within("PRACK", headers=headers, body=b"x")) is None
    assert probe.titles() == ["415"]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "INFO", "OPTIONS", "REFER", "NOTIFY"])
@pytest.mark.parametrize("line", ["no colon\r\n", "Max-Forwards: 70\r\n", "X-Bare: a\rb\r\n"])
def test_what_begins_something_is_read_strictly(probe, method, line):
    answered(probe)
    assert probe.receive(within(method, headers=line)) is None
    assert probe.titles() == ["400"]


# -- responses -------------------------------------------------------------------------------------------------------

IN_RESPONSES = {
    "a line without colon": lambda data: data.replace(b"\r\nFrom:", b"\r\nno colon at all\r\nFrom:"),
    "a bare carriage return": lambda data: data.replace(b"\r\nFrom:", b"\r\nX-Bare: a\rb\r\nFrom:"),
    "no From": lambda data: data.replace(b"\r\nFrom:", b"\r\nX-From:"),
    "no Call-ID": lambda data: data.replace(b"\r\nCall-ID:", b"\r\nX-Call-ID:"),
    "no CSeq": lambda data: data.replace(b"\r\nCSeq:", b"\r\nX-CSeq:"),
    "a second From": lambda data: data.replace(b"\r\nFrom:", b"\r\nFrom: <sip:x@y>;tag=1\r\nFrom:"),
    "a second CSeq": lambda data: data.replace(b"\r\nCSeq: 1 INVITE", b"\r\nCSeq: 1 INVITE\r\nCSeq: 2 INVITE"),
    "a CSeq without number": lambda data: data.replace(b"CSeq: 1 INVITE", b"CSeq: INVITE"),
    "a CSeq out of range": lambda data: data.replace(b"CSeq: 1 INVITE", b"CSeq: 4294967295 INVITE"),
    "a method in small letters": lambda data: data.replace(b"CSeq: 1 INVITE", b"CSeq: 1 invite!("),
    "a bad Content-Length": lambda data: data.replace(b"Content-Length: ", b"Content-Length: x"),
    "too large a Content-Length": lambda data: data.replace(b"Content-Length: ", b"Content-Length: 99"),
}


@pytest.mark.parametrize("status", [183, 200, 400, 503])
@pytest.mark.parametrize("spoil", IN_RESPONSES.values(), ids=IN_RESPONSES)
def test_a_response_is_accepted_by_its_transaction_whatever_other_faults_it_has(probe, owner, status, spoil):
    probe.call_vendor(owner)
    data = reply(probe.sent()[0], status, headers="Content-Type: application/sdp\r\n", body=SDP)
    assert spoil(data) != data
    event = probe.receive(spoil(data), VENDOR)
    assert isinstance(event, ResponseArrived)
    assert (event.owner, event.response.status) == (owner, status)
    assert event.response.body == SDP
    assert event.response.to_tag == "vendor"
    assert (probe.titles() == ["ACK"]) is (status >= 300)


def test_a_response_without_cseq_is_not_guessed_where_both_invite_and_cancel_wait(probe, owner):
    transaction = probe.call_vendor(owner)
    invite = probe.sent()[0]
    probe.receive(reply(invite, 180), VENDOR)
    transaction.cancel("", probe.now)
    assert probe.receive(reply(invite, 200).replace(b"\r\nCSeq:", b"\r\nX-CSeq:"), VENDOR) is None
    assert probe.titles() == ["CANCEL"]


def test_a_faulty_response_to_no_request_of_ours_is_dropped_and_counted(probe, owner):
    probe.call_vendor(owner)
    data = reply(probe.sent()[0], 200).replace(b"z9hG4bKmark", b"z9hG4bKother")
    assert probe.receive(data.replace(b"\r\nFrom:", b"\r\nno colon\r\nFrom:"), VENDOR) is None
    assert probe.endpoint.dropped[Flaw.MALFORMED_HEADER] == 1


# -- what is said of it ----------------------------------------------------------------------------------------------


def test_what_is_read_over_is_named_among_the_problems(probe):
    answered(probe)
    event = probe.receive(within("BYE", headers="no colon\r\n"))
    assert event.request.problems()[-1] != ""
    assert any("Malformed Header" in problem for problem in event.request.problems())


def test_the_strict_reader_still_refuses_all_of_it():
    refused = ["a line without colon", "a second Max-Forwards", "a bare carriage return", "a bad Content-Length"]
    for name in refused:
        with pytest.raises(ParseError, match="400 "):
            parse_message(FAULTS[name](within("BYE")))


def test_unknown_sources_get_no_answer_to_a_faulty_bye(probe):
    assert probe.receive(within("BYE", headers="no colon\r\n"), UNKNOWN_SOURCE) is None
    assert probe.sent() == []


def test_a_faulty_ack_is_never_answered(probe):
    assert probe.receive(within("ACK", headers="no colon\r\n"), Peer(0, CUSTOMER.host, 5090)) is None
    assert probe.sent() == []


def test_an_invite_with_a_fault_in_an_unused_header_is_a_call(probe):
    assert isinstance(probe.receive(request(headers="Date: yesterday\r\nSubject: \x07\r\n")), InviteArrived)
