"""Header rules of trunks, on whole calls: what is passed, left out, set and added, to either side."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.peer import ANSWER
from doubles.successor import replace_node
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script, answers, refuses

from vosd.b2bua.snapshot.leg import forwarded_in
from vosd.routing.pools import NumberPool
from vosd.trunks.dialect import CalleeDialect, CallerDialect, IdentityHeader
from vosd.trunks.header_rules import FORBIDDEN, HeaderRuleError, HeaderRules, TrunkHeaders, check_pattern, check_value
from vosd.trunks.number_rules import IncomingNumbers, OutgoingNumbers

CARRIED = (
    "X-Campaign: spring", "X-Internal: secret", "User-to-User: 3132;encoding=hex", "P-Charge-Info: <sip:1@a.example>",
    "Alert-Info: <http://a.example/ring>", "Subject: Hello", "Session-ID: f81d4fae7dec11d0a76500a0c91e6bf6",
)  # fmt: skip


NONE = HeaderRules()


def scene_of(vendor: HeaderRules = NONE, *, to_customer: HeaderRules = NONE) -> Scene:
    """Set up a customer and two vendors; ``to_customer`` is for responses."""
    callers = CallerDialect(headers=TrunkHeaders(NONE, to_customer))
    callees = CalleeDialect(headers=TrunkHeaders(vendor))
    customers = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=callers)
    return Scene(catalogue([customers, *[vendor_gateway(index, dialect=callees) for index in range(2)]]))


def call_through(scene: Scene, *headers: str, caller: str = "12025550100") -> OutgoingCall:
    return scene.whole_call(Intent(headers=headers, caller=caller, hang_up_after_ms=1_000))


def messages_to(scene: Scene, host: str, beginning: str) -> list[str]:
    found = [packet.data.decode() for packet in scene.wire.packets if packet.target.host == host]
    return [each for each in found if each.startswith(beginning)]


def test_without_rules_nothing_of_the_callers_headers_passes():
    scene = Scene()
    call_through(scene, *CARRIED)
    invite = messages_to(scene, VENDORS[0].host, "INVITE")[0]
    assert not any(each.partition(":")[0] in invite for each in CARRIED)
    scene.close()


def test_no_pattern_passes_a_name_whose_letters_become_others_as_capitals():
    forged = (
        "P-Asserted-\u0131dentity: <sip:1@a.example>",
        "\u0131dentity: x",
        "\u017fession-Expires: 90",
        "X-\u00a0: x",
    )
    scene = scene_of(HeaderRules(passes=("*",)))
    call_through(scene, *forged, f"X-{'a' * 62}: short", f"X-{'a' * 63}: long", "X-Campaign: spring")
    invite = messages_to(scene, VENDORS[0].host, "INVITE")[0]
    names = [line.partition(":")[0] for line in invite.splitlines()]
    assert "X-Campaign" in names
    assert "P-Asserted-Identity" not in names
    assert "Identity" not in names
    assert names.count("Session-Expires") == 1
    assert "X-" not in names
    assert ": short\r\n" in invite
    assert ": long\r\n" not in invite
    scene.close()


def test_named_headers_and_patterns_pass_and_others_do_not():
    scene = scene_of(HeaderRules(passes=("x-*", "user-to-user", "p-charge-info", "session-id")))
    call_through(scene, *CARRIED)
    invite = messages_to(scene, VENDORS[0].host, "INVITE")[0]
    assert "X-Campaign: spring\r\n" in invite
    assert "User-to-User: 3132;encoding=hex\r\n" in invite
    assert "P-Charge-Info: <sip:1@a.example>\r\n" in invite
    assert "Session-ID: f81d4fae7dec11d0a76500a0c91e6bf6\r\n" in invite
    assert "Subject:" not in invite
    assert "Alert-Info" not in invite
    scene.close()


def test_what_is_removed_was_passed_before_or_is_the_switchs_own():
    scene = scene_of(HeaderRules(passes=("x-*",), removes=("x-internal", "accept-language")))
    call_through(scene, *CARRIED)
    everything = scene.bytes_to(VENDORS[0]).decode()
    assert "X-Campaign: spring" in everything
    assert "X-Internal" not in everything
    scene.close()


def test_a_header_that_is_passed_first_is_left_out_however_it_is_written():
    scene = scene_of(HeaderRules(passes=("*",), removes=("x-i*",)))
    call_through(scene, "x-InTernal: secret", "X-CAMPAIGN: spring")
    invite = messages_to(scene, VENDORS[0].host, "INVITE")[0]
    assert ("secret" in invite, "X-Campaign: spring\r\n" in invite) == (False, True)
    scene.close()


def test_no_memory_is_taken_by_ever_new_names_of_headers():
    rules = HeaderRules(passes=("x-*",))
    scene = scene_of(rules)
    for number in range(20):
        call_through(scene, *[f"X-{number}-{each}: 1" for each in range(15)], f"X-{'long' * 100}{number}: 1")
    assert 0 < len(rules._treated) <= 256
    assert max(map(len, rules._treated)) <= 64


def test_values_are_filled_with_facts_of_the_call_and_parts_of_headers():
    rules = HeaderRules(
        passes=("subject",),
        sets=(("X-Call", "{call_id};from={caller};to={callee}"), ("Subject", "{header X-Org match id=([0-9]{2,4})}")),
        adds=(("X-Payer", "{account} by {customer} over {gateway}"), ("X-None", "{header X-Missing}")),
    )
    scene = scene_of(rules)
    call_through(scene, *CARRIED, "X-Org: id=4711;x")
    invite = messages_to(scene, VENDORS[0].host, "INVITE")[0]
    record = scene.close()
    assert f"X-Call: {record.call_id};from=12025550100;to={CALLEE}\r\n" in invite
    assert "Subject: 4711\r\n" in invite
    assert invite.count("Subject:") == 1
    assert "X-Payer: acme by acme over vendor-0\r\n" in invite
    assert "X-None" not in invite


def test_rules_hold_for_the_bye_and_pass_what_the_other_side_says_in_it():
    scene = scene_of(HeaderRules(passes=("x-*",), adds=(("X-Tenant", "{account}"),)))
    call_through(scene, "X-Campaign: spring")
    bye = messages_to(scene, VENDORS[0].host, "BYE")[0]
    assert "X-Tenant: acme\r\n" in bye
    assert "X-Campaign" not in bye
    ack = messages_to(scene, VENDORS[0].host, "ACK")[0]
    assert "X-Tenant" not in ack
    scene.close()


def test_headers_of_a_transferors_bye_are_not_those_of_a_later_end():
    """The call goes on without it, and another one ends it minutes later."""
    scene = scene_of(HeaderRules(passes=("x-*",)))
    call, party = scene.talk()
    scene.vendor.script = answers(3_000)
    call.ask("REFER", headers=["Refer-To: <sip:442071111111@192.0.2.1>"])
    scene.wire.run_for(1_000)
    call.hang_up("X-Agent: transferor")
    scene.wire.run_for(60_000)
    scene.hang_up(scene.vendor.calls[-1], wait_ms=1_000)
    (bye,) = party.asked["BYE"]
    assert bye.every("X-Agent") == []


def test_headers_of_the_vendors_responses_pass_to_the_customer():
    rules = HeaderRules(passes=("x-*", "p-asserted-identity"), adds=(("X-Carrier", "{gateway}"),))
    scene = scene_of(to_customer=rules)
    headers = ("X-Rate: 7", "P-Asserted-Identity: <sip:44207@carrier.example>")
    scene.vendor.script = Script(
        (Line(0, 100), Line(0, 183, ANSWER, ("X-Rate: 5",)), Line(1_000, 200, ANSWER, headers))
    )
    call_through(scene)
    ringing = messages_to(scene, CUSTOMER.host, "SIP/2.0 183")[0]
    answer = messages_to(scene, CUSTOMER.host, "SIP/2.0 200")[0]
    trying = messages_to(scene, CUSTOMER.host, "SIP/2.0 100")[0]
    assert "X-Rate: 5\r\n" in ringing
    assert "X-Rate: 7\r\n" in answer
    assert "P-Asserted-Identity: <sip:44207@carrier.example>\r\n" in answer
    assert "X-Carrier: vendor-0\r\n" in answer
    assert "X-" not in trying
    scene.close()


@pytest.mark.parametrize(("privacy", "is_shown"), [("none", True), ("id", False), ("user;critical", False)])
def test_a_callee_that_withholds_who_it_is_is_shown_by_no_rule(privacy, is_shown):
    """The caller is not sent its Privacy, so the number would be one that may be shown (RFC 3325 section 7)."""
    rules = HeaderRules(
        passes=("p-asserted-identity", "x-*"), adds=(("X-Who", "{header P-Asserted-Identity match sip:([^@]+)}"),)
    )
    scene = scene_of(to_customer=rules)
    said = ("P-Asserted-Identity: <sip:+442071234567@ims.example>", f"Privacy: {privacy}", "X-Rack: 7")
    scene.vendor.script = Script((Line(0, 180), Line(500, 200, ANSWER, said)))
    call_through(scene)
    answer = messages_to(scene, CUSTOMER.host, "SIP/2.0 200")[0]
    assert "X-Rack: 7\r\n" in answer
    assert ("P-Asserted-Identity: <sip:+442071234567@ims.example>\r\nX-Rack" in answer) is is_shown
    assert ("X-Who: +442071234567\r\n" in answer, "2071234567" in answer) == (is_shown, is_shown)
    scene.close()


def test_headers_of_a_refusal_pass_with_the_refusal():
    scene = scene_of(to_customer=HeaderRules(passes=("x-*",)))
    scene.whole_call(script=refuses(486, headers=("X-Why: holiday",)))
    refusal = messages_to(scene, CUSTOMER.host, "SIP/2.0 486")[0]
    assert "X-Why: holiday\r\n" in refusal
    scene.close()


def test_the_number_of_a_hidden_caller_is_no_fact_of_the_call():
    scene = scene_of(HeaderRules(adds=(("X-From", "{caller}"), ("X-In", "{caller_in}"), ("X-To", "{callee}"))))
    call_through(scene, "Privacy: id")
    invite = messages_to(scene, VENDORS[0].host, "INVITE")[0]
    assert "X-From" not in invite
    assert "X-In" not in invite
    assert f"X-To: {CALLEE}\r\n" in invite
    scene.close()


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("leaves_by", ["transfer", "takeover"])
def test_a_withheld_number_stays_so_when_its_caller_has_left(leaves_by, is_restarted):
    scene = scene_of(HeaderRules(adds=(("X-From", "{caller}"), ("X-To", "{callee}"))))
    call = scene.answered_call(Intent(headers=("Privacy: id",)), talk_ms=1_000)
    taker = None
    if leaves_by == "transfer":
        call.ask("REFER", headers=["Refer-To: <sip:442071111111@192.0.2.1>"])
    else:
        taker = scene.begun_call(Intent(headers=(f"Replaces: {call.replaces}",)))
    scene.wire.run_until(lambda: call.is_over)
    if is_restarted:
        replace_node(scene)
    scene.wire.run_for(2_000)
    (taker or scene.vendor.calls[-1]).hang_up()
    scene.wire.run_until(lambda: scene.vendor.calls[0].is_over)
    to_vendor = [each for each in messages_to(scene, VENDORS[0].host, "") if "X-To: " in each]
    assert {each.partition(" ")[0] for each in to_vendor} >= {"INVITE", "BYE"}
    assert [each for each in to_vendor if "X-From: " in each] == []
    scene.expect_nothing_left()


def test_headers_of_a_party_that_withholds_who_it_is_pass_no_more_once_it_has_taken_the_call_over():
    scene = scene_of(HeaderRules(passes=("organization", "x-rack")))
    call = scene.answered_call(Intent(headers=("Organization: Acme",)), talk_ms=1_000)
    taker = scene.begun_call(Intent(headers=(f"Replaces: {call.replaces}", "Privacy: id")), after_ms=2_000)
    taker.hang_up("Organization: Acme", "X-Rack: 7")
    scene.wire.run_until(lambda: scene.vendor.calls[0].is_over)
    assert "Organization: Acme\r\n" in messages_to(scene, VENDORS[0].host, "INVITE")[0]
    (bye,) = messages_to(scene, VENDORS[0].host, "BYE")
    assert ("X-Rack: 7\r\n" in bye, "Organization" in bye) == (True, False)
    scene.expect_nothing_left()


CALLERS_OWN = (
    "P-Asserted-Identity: <sip:+442079460123@pbx.example>",
    "P-Served-User: <sip:+442079460123@pbx.example>;sescase=orig",
    "P-Charge-Info: <sip:+442079460123@pbx.example>",
    "P-Associated-URI: <sip:+442079460123@pbx.example>",
    "Referred-By: <sip:+442079460123@pbx.example>",
    "Reply-To: <sip:+442079460123@pbx.example>",
    "Call-Info: <http://pbx.example/+442079460123.jpg>;purpose=icon",
    "Organization: +442079460123",
    "Subject: +442079460123",
    "Geolocation: <sip:+442079460123@pbx.example>",
    "In-Reply-To: +442079460123@pbx.example",
    "Additional-Identity: <sip:+442079460123@pbx.example>",
    "P-DCS-Billing-Info: 1/2@pbx.example;calling=sip:+442079460123",
    "P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=pbx.example",
)


@pytest.mark.parametrize(
    "rules",
    [
        HeaderRules(passes=("*",)),
        HeaderRules(passes=("p-*",)),
        HeaderRules(passes=("p-charge-info", "p-served-user", "subject", "reply-to", "referred-by")),
        HeaderRules(adds=(("X-A", "{header P-Asserted-Identity match sip:([^@]+)}"), ("X-B", "{header From}"))),
        HeaderRules(sets=(("X-A", "{header P-Charge-Info}"), ("X-B", "by {header Contact}"))),
        HeaderRules(sets=(("X-A", "{header Diversion}"), ("X-B", "{header Via}"))),
    ],
)
def test_no_rule_shows_a_vendor_a_caller_that_it_must_not_see(rules):
    """RFC 3323 section 4.1, RFC 3325 section 7."""
    scene = scene_of(rules)
    call_through(scene, "Privacy: id", "Diversion: <sip:+442079460123@pbx.example>;privacy=full", *CALLERS_OWN)
    sent = scene.bytes_to(VENDORS[0]).decode()
    assert ("2079460123" in sent, "pbx.example" in sent, "X-B" in sent) == (False, False, False)
    scene.close()


@pytest.mark.parametrize("pool", [None, "berlin"])
def test_no_rule_shows_a_number_that_is_dropped_but_that_which_a_pool_gives(pool):
    rules = HeaderRules(
        passes=("p-charge-info", "call-info"),
        adds=(("X-In", "{caller_in}"), ("X-Out", "{caller}"), ("X-From", "{header From}"), ("X-To", "{callee}")),
    )
    callees = CalleeDialect(headers=TrunkHeaders(rules), identity=(IdentityHeader.ASSERTED,))
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", numbers=IncomingNumbers(caller_drop=True))
    gateway = vendor_gateway(0, dialect=callees, numbers=None if pool is None else OutgoingNumbers(caller_pool=pool))
    scene = Scene(catalogue([trunk, gateway], number_pools=[NumberPool("berlin", ("493012345",))]))
    call_through(scene, "P-Charge-Info: <sip:12025550100@h>", "Call-Info: <http://pbx.example/12025550100.jpg>")
    sent = scene.bytes_to(VENDORS[0]).decode()
    assert "2025550100" not in sent
    assert f"X-To: {CALLEE}\r\n" in sent
    assert ("X-Out: 493012345\r\n" in sent) is (pool is not None)
    scene.close()


def test_patterns_leave_out_headers_that_say_who_calls_and_names_pass_them():
    scene = scene_of(HeaderRules(passes=("*", "referred-by"), adds=(("X-B", "{header P-Charge-Info}"),)))
    call_through(scene, *CALLERS_OWN)
    invite = messages_to(scene, VENDORS[0].host, "INVITE")[0]
    passed = {each for each in CALLERS_OWN if f"{each}\r\n".lower() in invite.lower()}
    assert passed == set(CALLERS_OWN[4:])
    assert "X-B: <sip:+442079460123@pbx.example>\r\n" in invite
    scene.close()


def test_a_second_vendor_gets_the_callers_headers_too():
    scene = scene_of(HeaderRules(passes=("x-*",)))
    scene.vendor.script = refuses(503)
    call_through(scene, "X-Campaign: spring")
    assert "X-Campaign: spring\r\n" in messages_to(scene, VENDORS[1].host, "INVITE")[0]
    scene.close()


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_headers_that_the_protocol_lives_by_cannot_be_named(name):
    with pytest.raises(HeaderRuleError, match=r"it |user_agent"):
        check_pattern(name, passes=False, to_caller=False)
    rules = HeaderRules(passes=("*",), removes=("*",))
    line = f"{name}: x\r\n"
    assert rules.applied(line, None, None) == line  # type: ignore[arg-type]


@pytest.mark.parametrize("short", ["v", "f", "t", "i", "m", "l", "c", "r", "k", "x"])
def test_compact_forms_are_the_same_headers(short):
    with pytest.raises(HeaderRuleError):
        check_pattern(short, passes=True, to_caller=False)


@pytest.mark.parametrize("name", ["P-Asserted-Identity", "Remote-Party-ID", "Privacy", "Diversion", "Identity"])
def test_headers_that_say_who_calls_are_passed_by_their_own_keys(name):
    with pytest.raises(HeaderRuleError, match="identity, privacy, diversion"):
        check_pattern(name, passes=True, to_caller=False)
    check_pattern(name, passes=False, to_caller=False)


@pytest.mark.parametrize(
    "value",
    ["", "a\r\nVia: b", "{caller", "caller}", "{nothing}", "{header }", "{header X match (}", "{header Via\r\n}"],
)
def test_values_that_are_none_are_refused(value):
    with pytest.raises(HeaderRuleError):
        check_value(value)


def test_a_response_that_was_taken_in_spite_of_faults_leaves_the_rest_of_its_call_in_a_snapshot():
    assert forwarded_in(b"SIP/2.0 180 Ringing\r\nVia: what\r\n\r\n") is None
    assert forwarded_in(b"") is None
