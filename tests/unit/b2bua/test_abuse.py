"""What no peer may get by misusing what it is allowed: other people's money, memory, packets, or our mistakes."""

from decimal import Decimal

import pytest
from doubles.data.builders import applied_rate, catalogue, mapping_gateway, rate_group
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, Message, compose, response_lines
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import RINGS, Line, Script, answers, refuses

from vosd.cdr.record import CallRecord
from vosd.sip.flows import Listener
from vosd.trunks.dialect import CalleeDialect, Redirects
from vosd.trunks.gateways import Address as GatewayAddress

TARGET = "442071111111"
THIRD = "442072222222"


def refer(call: OutgoingCall, to: str) -> None:
    call.ask("REFER", headers=[f"Refer-To: {to}"])


def under_another_tag(answer_to: Message, status: int = 200) -> str:
    """Answer a request within a dialog as if another peer had received it."""
    lines = response_lines(answer_to, status, "", "other@198.51.100.77")
    return compose([line.partition(";tag=")[0] + ";tag=other" if line.startswith("To:") else line for line in lines])


def sent_to_vendor(scene: Scene, method: str) -> int:
    return len(scene.vendor.received(method))


# -- money --------------------------------------------------------------------------------------------------------


def redirected(to: str, **rates: str) -> CallRecord:
    """Let the first vendor send a call to another number of its own; return the record of what came of it."""
    group = rate_group(
        "buy", applied_rate("0.30"), *(applied_rate(rate, prefix=prefix[1:]) for prefix, rate in rates.items())
    )
    dialect = CalleeDialect(redirects=Redirects.FOLLOW)
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, dialect=dialect)]
    scene = Scene(catalogue(gateways, rate_groups=[group]))
    scene.vendor.script = refuses(302, headers=(f"Contact: <sip:{to}@{VENDORS[1]}>",))
    scene.whole_call(Intent(hang_up_after_ms=60_000))
    return scene.close()


def test_a_vendor_may_send_a_call_on_where_its_own_price_stays_the_same():
    record = redirected("442079999999", _4420="0.30")
    assert (record.sip_code, record.callee_out, record.cost) == (200, "442079999999", Decimal("0.30"))


@pytest.mark.parametrize("to", ["449098790000", "33123456789"], ids=["dearer", "no rate"])
def test_a_vendor_may_not_send_a_call_to_a_number_of_another_price(to):
    """What the customer pays was agreed for the number dialled, and so was what the vendor gets."""
    record = redirected(to, _44909="9.00")
    assert (record.sip_code, record.end_reason, record.cost, record.postings) == (480, "Unavailable", 0, ())
    assert [(row.gateway, row.code) for row in record.attempts] == [("vendor-0", 302)]


@pytest.mark.parametrize("contact", ["sips:{}", "sip:{};transport=tls"])
def test_a_redirection_to_tls_takes_its_port_and_is_not_followed_without_tls(contact):
    gateway = vendor_gateway(0, dialect=CalleeDialect(redirects=Redirects.FOLLOW))
    content = catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), gateway])
    redirection = refuses(302, headers=(f"Contact: <{contact.format(f'{CALLEE}@{VENDORS[1].host}')}>",))
    plain = Scene(content)
    call = plain.whole_call(script=redirection)
    assert (call.final, plain.vendors[1].calls) == (480, [])
    scene = Scene(content, listeners=(Listener(*SWITCH), Listener(SWITCH.host, 5061, "tls")))
    call = scene.whole_call(Intent(cancel_after_ms=5_000), script=redirection)
    assert {packet.target.port for packet in scene.wire.packets if packet.target.host == VENDORS[1].host} == {5061}
    assert scene.record.destination_address == f"{VENDORS[1].host}:5061"


@pytest.mark.parametrize("contact", [f"{VENDORS[0].host}:5061", VENDORS[0].host], ids=["port", "no port"])
def test_a_vendor_over_tls_that_names_itself_without_transport_is_not_called_in_clear(contact):
    dialect = CalleeDialect(redirects=Redirects.FOLLOW)
    gateway = vendor_gateway(0, addresses=(GatewayAddress(VENDORS[0].host, 5061, "tls"),), dialect=dialect)
    listeners = (Listener(*SWITCH), Listener(SWITCH.host, 5061, "tls"))
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), gateway]), listeners=listeners)
    there = scene.exchange.vendor(Endpoint(VENDORS[0].host, 5061))
    there.script, there.by_number = answers(0), {CALLEE: refuses(302, headers=(f"Contact: <sip:442@{contact}>",))}
    call = scene.whole_call(Intent(hang_up_after_ms=1_000))
    assert call.final == 200
    assert [each.invite.start_line.split()[1] for each in there.calls] == [
        f"sip:{number}@{VENDORS[0].host}:5061;transport=tls" for number in (CALLEE, "442")
    ]
    assert scene.record.attempts[-1].code == 200
    assert all(";transport=tls" in each.invite["Contact"] for each in there.calls)


# -- memory and packets -------------------------------------------------------------------------------------------


def test_of_a_vendor_that_rings_endlessly_only_the_first_phones_count(scene):
    call = scene.begun_call(script=RINGS, after_ms=100)
    for phone in range(100):
        scene.vendor.reply(scene.vendor.only_call.invite, 183, tag=f"phone-{phone}", body=ANSWER)
        scene.wire.run_for(5)
    early_media = [response for response in call.responses if response.body]
    assert len({response.to_tag for response in early_media}) == 16
    call.cancel()
    scene.end_of(call)


def test_a_vendor_that_answers_again_and_again_is_sent_no_flood(scene):
    """Each other fork is hung up, and that is repeated: a Contact of the vendor's choice would get it all."""
    call, there = scene.talk()
    for phone in range(100):
        scene.vendor.reply(there.invite, 200, tag=f"phone-{phone}", headers=("Contact: <sip:x@198.51.100.77>",))
        scene.wire.run_for(5)
    scene.wire.run_for(33_000)
    byes = {packet.data for packet in scene.wire.packets if packet.data.startswith(b"BYE")}
    assert len(byes) == 16
    record = scene.finish(call)
    assert [row.reason for row in record.attempts] == ["Answered", *["Forked"] * 16]


def test_a_fork_that_repeats_its_answer_gets_the_same_ack(scene):
    call, there = scene.talk()
    before = sent_to_vendor(scene, "ACK")
    for _ in range(3):
        scene.vendor.reply(there.invite, 200, tag="another-phone", body=ANSWER)
        scene.wire.run_for(5)
    assert sent_to_vendor(scene, "ACK") == before + 3
    assert len({str(ack.headers) for ack in scene.vendor.received("ACK")}) == 2
    scene.finish(call)


def test_a_target_with_many_provisional_responses_is_reported_once(scene):
    """Each news of a transfer is a request of ours to the transferor, repeated until it is answered."""
    fickle = Script(tuple(Line(10 * turn, 183 if turn % 2 else 180) for turn in range(50)))
    scene.vendor.by_number = {TARGET: fickle}
    call, party = scene.talk()
    refer(call, f"<sip:{TARGET}@192.0.2.1>")
    scene.wire.run_for(2_000)
    assert [notify.body.split()[1] for notify in call.asked["NOTIFY"]] == ["100", "180", "183"]
    party.hang_up()
    scene.wire.run_until(lambda: not scene.exchange.switch.has_calls)
    assert scene.exchange.residue() == {}


def test_a_transfer_to_a_too_long_number_is_refused(scene):
    call, _ = scene.talk()
    refer(call, f"<sip:44{'1' * 200}@192.0.2.1>")
    scene.wire.run_for(1_000)
    assert call.got["REFER"] == [484]
    scene.finish(call)


# -- our mistakes -------------------------------------------------------------------------------------------------


def test_a_proposal_that_is_answered_again_under_another_tag_ends_no_call():
    scene = Scene()
    call, there = scene.talk()
    there.propose("a=sendonly")
    scene.wire.run_until(lambda: there.got.get("INVITE"))
    scene.caller.send(under_another_tag(call.asked["INVITE"][0]))
    scene.wire.run_for(1_000)
    assert scene.exchange.switch.has_calls
    assert not there.is_over
    there.hang_up()
    scene.wire.run_until(lambda: not scene.exchange.switch.has_calls)
    assert scene.close().hangup_source == "callee"


@pytest.mark.parametrize("name", ["1 1", "2 7"], ids=["same session", "another"])
def test_a_session_version_of_any_length_ends_no_call(scene, name):
    """No peer counts that far; a value that looks like it passes unchanged."""
    call, there = scene.talk()
    there.minds_origins = False
    endless = call.mine.replace("o=- 1 1 ", f"o=- {name}{'9' * 5_000} ")
    call.ask("INVITE", body=endless)
    scene.wire.run_for(1_000)
    assert call.got["INVITE"] == [200]
    assert there.theirs == endless
    scene.finish(call)


def test_a_preference_of_any_length_ends_no_call():
    gateway = vendor_gateway(0, dialect=CalleeDialect(redirects=Redirects.FOLLOW))
    scene = Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), gateway]))
    call = scene.settled_call(script=refuses(302, headers=(f"Contact: <sip:{CALLEE}@{VENDORS[1]}>;q={'9' * 5_000}",)))
    assert call.final == 200
    scene.finish(call)


# -- calls without end ---------------------------------------------------------------------------------------------


def test_a_call_that_is_being_transferred_takes_part_in_no_other_transfer(scene):
    """Or the target of the first would answer into nothing, and stay up for money."""
    scene.vendor.by_number = {THIRD: answers(5_000)}
    first, second = scene.talk()[0], scene.caller.call(TARGET)
    scene.wire.run_until(lambda: second.final == 200)
    refer(second, f"<sip:{THIRD}@192.0.2.1>")
    scene.wire.run_for(500)
    refer(first, f"<sip:{TARGET}@192.0.2.1?Replaces={second.replaces_in_uri}>")
    scene.wire.run_for(6_000)
    assert (second.got["REFER"], first.got["REFER"]) == ([202], [603])
    to_first, to_second, to_third = scene.vendor.calls
    to_third.hang_up()
    scene.wire.run_until(lambda: to_second.is_over)
    first.hang_up()
    scene.wire.run_until(lambda: to_first.is_over)
    scene.expect_nothing_left(within_ms=0)
    assert len(scene.exchange.sink.records) == 3


def test_a_phone_that_has_not_taken_a_call_over_yet_may_not_transfer_it(scene):
    call, there = scene.talk()
    there.will("INVITE", Reply(200, after_ms=3_000))
    scene.wire.delays = lambda packet: () if packet.data.startswith(b"CANCEL") and packet.source == SWITCH else (1,)
    newcomer = scene.begun_call(Intent(headers=(f"Replaces: {call.replaces}",), cancel_after_ms=500), after_ms=1_000)
    (heard,) = [response for response in scene.caller.received(200) if response["CSeq"] == "1 CANCEL"]
    newcomer.remote = heard["To"]
    refer(newcomer, f"<sip:{TARGET}@192.0.2.1>")
    scene.wire.run_for(1_000)
    assert newcomer.got["REFER"] == [491]
    assert len(scene.vendor.calls) == 1
    scene.wire.run_for(3_000)
    there.hang_up()
    scene.wire.run_until(lambda: not scene.exchange.switch.has_calls)
    scene.close()


def test_a_call_that_is_being_transferred_is_not_taken_over(scene):
    """The phone that takes it over would be hung up when the target answers."""
    scene.vendor.by_number = {TARGET: answers(5_000)}
    call, party = scene.talk()
    refer(call, f"<sip:{TARGET}@192.0.2.1>")
    scene.wire.run_for(500)
    newcomer = scene.whole_call(Intent(headers=(f"Replaces: {call.replaces}",)))
    assert newcomer.final == 491
    scene.wire.run_for(6_000)
    party.hang_up()
    scene.wire.run_until(lambda: not scene.exchange.switch.has_calls)
    assert scene.exchange.residue() == {}
