"""Trunks with names, routes, header rules and forms of numbers, and numbers of customers, through the real daemon."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from doubles.daemon import Daemon
from doubles.sip_i import ACM, ANM, IAM, REL, SIGNAL, BodyPart, isup, mixed, parts_in, text_of
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OFFER, Message, OutgoingCall, Peer, compose
from doubles.telephone import Telephone

from vosd.obs.events import Event

from .addresses import NETWORK, TRUNKS_SWITCH, VENDORS
from .stage import Stage, configuration


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("trunks")
    with Daemon(directory, configuration("trunks.yaml", TRUNKS_SWITCH)) as daemon:
        yield Stage(daemon, TRUNKS_SWITCH, Event.RELOAD_REFUSED)


def test_both_sides_of_a_call_see_the_switch_as_their_trunks_say(stage: Stage) -> None:
    callee = f"{stage.number('44')}000"
    with Peer(VENDORS["carrier-a"]) as vendor, Peer(stage.endpoint_of("acme")) as customer:
        call = OutgoingCall(customer, stage.address, callee)
        call.invite(["User-Agent: Desk/1", "X-Campaign: spring", "X-Internal: 7", "X-Route: trunk=42", "Subject: no",
                     "User-to-User: 3132;encoding=hex"])  # fmt: skip
        invite = vendor.expect("INVITE")
        vendor.reply(invite, 200, tag="v", headers=["X-Rate: 5", "Server: Carrier/2"], body=ANSWER)
        answer = call.answered()
        vendor.expect("ACK")
        assert call.hang_up().status == 200
        bye = vendor.expect("BYE")
        vendor.reply(bye, 200)
    assert invite.start_line == f"INVITE sip:+{callee}@sip.carrier.example;user=phone SIP/2.0"
    assert invite["Route"] == f"<sip:{VENDORS['carrier-a']};lr>"
    assert invite["From"].startswith("<sip:+12025550100@acme.example;user=phone>")
    assert invite["To"].startswith(f"<sip:+{callee}@sip.carrier.example;user=phone>")
    assert invite["Contact"] == f"<sip:trunk2@{TRUNKS_SWITCH}>"
    assert (invite["User-Agent"], bye["User-Agent"]) == ("Acme SBC", "Acme SBC")
    assert len(invite["Session-ID"]) == len(bye["Session-ID"]) == len(f"{'0' * 32};remote={'0' * 32}")
    assert invite["Session-ID"].partition(";")[0] == bye["Session-ID"].partition(";")[0]
    sent = {name: invite.every(name) for name in ("X-Campaign", "X-Internal", "X-Tenant", "X-Trunk", "User-to-User")}
    assert sent == {
        "X-Campaign": ["spring"], "X-Internal": [], "X-Tenant": ["acme"], "X-Trunk": ["42"],
        "User-to-User": ["3132;encoding=hex"],
    }  # fmt: skip
    assert invite.every("Subject") == []
    assert (answer["X-Rate"], answer["X-Carrier"], answer["Server"]) == ("5", "carrier-a", "Acme Desk")
    record = stage.record_of(callee)
    assert (record["caller_user_agent"], record["callee_user_agent"]) == ("Desk/1", "Carrier/2")
    assert record["did"] is None


def test_a_number_of_the_inventory_goes_to_its_trunk_and_a_free_one_nowhere(stage: Stage) -> None:
    with Peer(VENDORS["carrier-b"]) as pbx, Peer(stage.endpoint_of("acme")) as customer:
        call = OutgoingCall(customer, stage.address, "44800")
        call.invite()
        invite = pbx.expect("INVITE", passing=("OPTIONS",))
        assert invite.start_line.startswith("INVITE sip:44800@")
        assert invite["P-Asserted-Identity"].startswith("<sip:12025550100@")
        pbx.reply(invite, 486, tag="p")
        pbx.expect("ACK", passing=("OPTIONS",))
        assert call.refused().status == 486
        free = OutgoingCall(customer, stage.address, "44801")
        free.invite()
        assert free.refused().status == 404
    assert stage.record_of("44800")["did"] == "44800"
    rows = json.loads(stage.daemon.succeed("did", "list", "--json"))
    assert [(row["number"], row["account"], row["rings"]) for row in rows] == [
        ("44800", "acme", "carrier-b"), ("44801", None, "")
    ]  # fmt: skip


def test_a_calling_number_of_another_form_is_refused(stage: Stage) -> None:
    with Peer(stage.endpoint_of("acme")) as customer:
        call = OutgoingCall(customer, stage.address, stage.number("44"), caller="7001")
        call.invite()
        assert call.refused().status == 403


def test_isup_passes_both_ways_between_trunks_that_agree(stage: Stage) -> None:
    """RFC 3204, RFC 3372: IAM, ACM, ANM, a mid-call message and REL, and a location that Geolocation refers to."""
    location = BodyPart("application/pidf+xml", b"<presence/>", "by-reference;handling=optional", "<here@acme.example>")
    with Peer(VENDORS["carrier-c"]) as vendor, Peer(stage.endpoint_of("poor")) as exchange:
        call = OutgoingCall(exchange, stage.address, stage.number("447"))
        kind, body = mixed(BodyPart("application/sdp", OFFER.encode()), IAM, location, BodyPart("text/plain", b"no"))
        geolocation = "Geolocation: <cid:here@acme.example>"
        call.send(call.request("INVITE", body=body, kind=kind, headers=[geolocation]))
        invite = vendor.expect("INVITE")
        assert parts_in(invite) == [BodyPart("application/sdp", OFFER.encode()), IAM, location]
        assert invite["Geolocation"] == "<cid:here@acme.example>"

        vendor.reply(invite, 183, tag="v", body=text_of(ACM.content), kind=ACM.kind,
                     headers=[f"Content-Disposition: {ACM.disposition}"])  # fmt: skip
        ringing = exchange.expect(183)
        assert parts_in(ringing) == [ACM]
        kind, body = mixed(ANM, BodyPart("application/sdp", ANSWER.encode()))
        vendor.reply(invite, 200, tag="v", body=body, kind=kind)
        assert parts_in(call.answered()) == [BodyPart("application/sdp", ANSWER.encode()), ANM]
        assert parts_in(vendor.expect("ACK")) == [BodyPart("", b"")]

        info = call.request(
            "INFO", 2, body=text_of(ACM.content), kind=ACM.kind, headers=[f"Content-Disposition: {SIGNAL}"]
        )
        call.send(info)
        asked = vendor.expect("INFO")
        assert parts_in(asked) == [ACM]
        vendor.reply(asked, 200)
        assert exchange.final_response("2 INFO", call.call_id).status == 200

        vendor.hang_up(invite, "v", text_of(REL.content), REL.kind)
        bye = exchange.expect("BYE")
        exchange.reply(bye, 200)
        assert vendor.expect(200)["CSeq"] == "1 BYE"
        assert parts_in(bye) == [REL._replace(disposition="")]


def test_isup_of_a_refusal_passes_with_it(stage: Stage) -> None:
    with Peer(VENDORS["carrier-c"]) as vendor, Peer(stage.endpoint_of("poor")) as exchange:
        call = OutgoingCall(exchange, stage.address, stage.number("447"))
        kind, body = mixed(BodyPart("application/sdp", OFFER.encode()), IAM)
        call.send(call.request("INVITE", body=body, kind=kind))
        invite = vendor.expect("INVITE")
        vendor.reply(invite, 486, tag="v", body=text_of(REL.content), kind=REL.kind)
        vendor.expect("ACK")
        assert parts_in(call.refused()) == [REL._replace(disposition="")]


def test_a_trunk_without_a_rule_gets_the_session_alone(stage: Stage) -> None:
    """Neither a vendor nor a customer without a rule is sent ISUP of the other side."""
    with Peer(VENDORS["carrier-a"]) as vendor, Peer(stage.endpoint_of("poor")) as exchange:
        call = OutgoingCall(exchange, stage.address, stage.number("44"))
        kind, body = mixed(BodyPart("application/sdp", OFFER.encode()), isup(IAM.content, "signal;handling=optional"))
        call.send(call.request("INVITE", body=body, kind=kind))
        invite = vendor.expect("INVITE")
        assert (invite["Content-Type"], invite.body) == ("application/sdp", OFFER)
        vendor.reply(invite, 404, tag="v")
        vendor.expect("ACK")
        call.refused()
    with Peer(VENDORS["carrier-c"]) as vendor, Peer(stage.endpoint_of("acme")) as customer:
        call = OutgoingCall(customer, stage.address, stage.number("447"))
        call.invite()
        invite = vendor.expect("INVITE")
        kind, body = mixed(ANM, BodyPart("application/sdp", ANSWER.encode()))
        vendor.reply(invite, 200, tag="v", body=body, kind=kind)
        answer = call.answered()
        assert (answer["Content-Type"], answer.body) == ("application/sdp", ANSWER)
        vendor.expect("ACK")
        call.send(call.request("BYE", 2, body=text_of(REL.content), kind=REL.kind))
        bye = vendor.expect("BYE")
        assert parts_in(bye) == [REL._replace(disposition="")]
        vendor.reply(bye, 200)
        assert customer.final_response("2 BYE", call.call_id).status == 200


def test_a_required_part_goes_to_a_trunk_that_is_sent_it_or_nowhere(stage: Stage) -> None:
    """RFC 5621 section 5.1: 415 with Accept."""
    with Peer(VENDORS["carrier-a"]) as vendor, Peer(stage.endpoint_of("poor")) as exchange:
        call = OutgoingCall(exchange, stage.address, stage.number("44"))
        kind, body = mixed(BodyPart("application/sdp", OFFER.encode()), IAM)
        call.send(call.request("INVITE", body=body, kind=kind))
        refusal = call.refused()
        assert (refusal.status, "application/sdp" in refusal["Accept"]) == (415, True)
        assert stage.record_of(call.callee)["end_reason"] == "No Available Route"

        other = OutgoingCall(exchange, stage.address, stage.number("447"))
        kind, body = mixed(BodyPart("application/sdp", OFFER.encode()), isup(b"x")._replace(kind="application/qsig"))
        other.send(other.request("INVITE", body=body, kind=kind))
        refusal = other.refused()
        assert (refusal.status, "application/isup" in refusal["Accept"]) == (415, True)
        assert vendor.messages(0.05) == []


def test_gateways_of_a_group_share_its_limit_and_customers_the_addresses_of_theirs(stage: Stage) -> None:
    number = f"{stage.number('448')}000"
    with Peer(VENDORS["carrier-silent"]) as vendor, Peer(stage.endpoint_of("narrow")) as branch:
        call, second = (OutgoingCall(branch, stage.address, callee) for callee in (number, f"{number[:-1]}1"))
        call.invite()
        vendor.reply(vendor.expect("INVITE"), 200, tag="v", body=ANSWER)
        call.answered()
        vendor.expect("ACK")
        (row,) = stage.daemon.ask("gateway", "show", "pair")["running"]
        assert (row["kind"], row["calls"], row["max_concurrent"]) == ("group", 1, 1)
        second.invite()
        assert second.refused().status == 503
        assert call.hang_up().status == 200
        vendor.reply(vendor.expect("BYE"), 200)
    record = stage.record_of(number)
    assert (record["mapping_gateway"], record["routing_gateway"]) == ("branch", "pair-1")


def test_a_message_passes_from_phone_to_phone_and_to_a_trunk(stage: Stage) -> None:
    """RFC 3428; each receiver is asked while the sender waits, so the sender is answered what the receiver says."""
    with Peer(Endpoint(f"{NETWORK}.71", 5_060)) as here, Peer(Endpoint(f"{NETWORK}.72", 5_060)) as there:
        desk, other = (Telephone(peer, stage.address, Login(number, "secret")) for peer, number in
                       ((here, "7001"), (there, "7002")))  # fmt: skip
        desk.register()
        other.register()
        with answering(there, "MESSAGE", 202) as taken:
            assert desk.ask("MESSAGE", "7002", body="Hello").status == 202
        assert [(each.body, each.start_line) for each in taken] == [
            ("Hello", f"MESSAGE sip:7002@{there.contact} SIP/2.0")
        ]
        with Peer(VENDORS["carrier-c"]) as vendor, answering(vendor, "MESSAGE", 200) as taken:
            assert desk.ask("MESSAGE", "447700900123", body="Hello, world").status == 200
        assert [each.body for each in taken] == ["Hello, world"]
        assert taken[0].start_line == f"MESSAGE sip:447700900123@{VENDORS['carrier-c']} SIP/2.0"
        assert desk.ask("MESSAGE", "442079460000", body="no").status == 403


def test_a_phone_is_told_of_waiting_messages(stage: Stage) -> None:
    """RFC 3842: by its subscription, and without one."""
    summary, kind = "Messages-Waiting: yes\r\nVoice-Message: 2/8\r\n", "application/simple-message-summary"
    with Peer(VENDORS["carrier-c"]) as voicemail, Peer(Endpoint(f"{NETWORK}.71", 5_060)) as here:
        desk = Telephone(here, stage.address, Login("7001", "secret"))
        desk.register()
        contact, event = f"Contact: <sip:7001@{here.contact}>", "Event: message-summary"
        with answering(voicemail, "SUBSCRIBE", 200, "Expires: 600") as taken:
            answer = desk.ask("SUBSCRIBE", "7001", contact, event, "Expires: 600", f"Accept: {kind}")
        assert (answer.status, answer["Expires"], answer.to_tag) == (200, "600", "answering")
        assert taken[0].start_line == f"SUBSCRIBE sip:box7@{VENDORS['carrier-c']} SIP/2.0"
        for tag, to in (("answering", taken[0]["From"]), ("unasked", f"<sip:box7@{stage.address}>")):
            call_id = taken[0]["Call-ID"] if tag == "answering" else "unasked@voicemail"
            lines = [
                f"NOTIFY sip:7001@{stage.address} SIP/2.0",
                f"Via: SIP/2.0/UDP {voicemail.address};rport;branch=z9hG4bK-{tag}",
                f"From: <sip:box7@{voicemail.address}>;tag={tag}", f"To: {to}", f"Call-ID: {call_id}", "CSeq: 7 NOTIFY",
                "Max-Forwards: 70", f"Contact: <sip:{voicemail.address}>", event,
                "Subscription-State: active;expires=599",
            ]  # fmt: skip
            with answering(here, "NOTIFY", 200) as told:
                answer = voicemail.ask(compose(lines, summary, kind), stage.address, "7 NOTIFY", call_id)
            assert answer.status == 200
            assert [(each.body, each["Call-ID"], each["CSeq"]) for each in told] == [(summary, call_id, "7 NOTIFY")]


@contextmanager
def answering(peer: Peer, method: str, status: int, *headers: str) -> Iterator[list[Message]]:
    """Answer the next request that a peer is sent, while the caller waits for the answer to its own."""
    taken: list[Message] = []

    def answer() -> None:
        request = peer.expect(method, passing=["HELLO"])
        peer.reply(request, status, tag="answering", headers=headers)
        taken.append(request)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(answer)
        yield taken
        done.result()
