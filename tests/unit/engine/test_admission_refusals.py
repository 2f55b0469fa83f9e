"""Refused calls: code, Reason, record, and nothing left behind."""

from decimal import Decimal
from itertools import combinations

import pytest
from doubles.data.builders import account, applied_rate, catalogue, credentials, mapping_gateway, rate_group
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.probe import START
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import RINGS

from vosd.base.cause import EndReason
from vosd.billing.accounts import AccountType
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.setup import STEPS, Setup
from vosd.engine.calls.intake import TransferNumbers
from vosd.sip.settings import SipSettings
from vosd.trunks.number_rules import IncomingNumbers

LONG_AGO = 0


def refused(scene, callee=CALLEE, **intent):
    return scene.whole_call(Intent(**intent), callee=callee)


def acme(**terms):
    return mapping_gateway("acme", f"{CUSTOMER.host}/32", **terms)


# Each condition that refuses a call, in the order in which they are checked: how it is caused, and the answer.
CONDITIONS = {
    "closed": ("Shutdown", 503),
    "max forwards": ("Loop", 483),
    "gateway concurrency": ("Gateway Capacity", 503),
    "gateway rate": ("Gateway Rate Limit", 503),
    "no number": ("Number Not Allowed", 403),
    "number list": ("Number Not Allowed", 403),
    "account disabled": ("Account Disabled", 403),
    "account expired": ("Account Expired", 403),
    "number section": ("Number Not Allowed", 403),
    "account concurrency": ("Account Capacity", 503),
    "no rate": ("No Matching Rate", 403),
    "rate type": ("Rate Type Not Allowed", 403),
    "no route": ("No Available Route", 404),
    "no balance": ("Insufficient Balance", 402),
}


def scene_with(*conditions):
    """A switch where all these conditions fail the next call."""
    gateway = acme(
        tech_prefix=CALLEE if "no number" in conditions else "",
        max_concurrent=0 if "gateway concurrency" in conditions else None,
        max_cps=0 if "gateway rate" in conditions else None,
        numbers=IncomingNumbers(callee_deny=("44*",)) if "number list" in conditions else None,
    )
    payer = account(
        "acme",
        enabled="account disabled" not in conditions,
        expires_at=LONG_AGO if "account expired" in conditions else None,
        max_concurrent=0 if "account concurrency" in conditions else None,
        denied_prefixes=("44",) if "number section" in conditions else (),
        rate_types=frozenset({"local"}) if "rate type" in conditions else frozenset(),
    )
    sell = rate_group("sell", applied_rate("0.60", prefix="99" if "no rate" in conditions else "*"))
    vendors = [] if "no route" in conditions else [vendor_gateway(0, allow_unrated=True)]
    content = catalogue([gateway, *vendors], accounts=[payer], rate_groups=[sell])
    scene = Scene(content, balance="0" if "no balance" in conditions else "100")
    scene.exchange.switch.takes_calls = "closed" not in conditions
    return scene


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_refusal_has_its_code_its_reason_and_its_record(condition):
    scene = scene_with(condition)
    call = refused(scene, hops=0 if condition == "max forwards" else 70)
    reason, status = CONDITIONS[condition]
    assert call.statuses == [status]
    assert call.refusal["Reason"].endswith(f';text="{reason}"')
    assert call.refusal.every("Retry-After") == []
    record = scene.close()
    assert (record.end_reason, record.sip_code, record.hangup_source) == (reason, status, "switch")
    assert f"cause={record.q850_cause};" in call.refusal["Reason"]
    assert (record.mapping_gateway, record.customer_account) == ("acme", "acme")
    assert (record.routing_gateway, record.vendor_account, record.attempts) == (None, None, ())
    assert (record.answered_at, record.ringing_at, record.pdd_ms, record.codec) == (None, None, None, None)
    assert record.started_at == record.ended_at
    assert (record.fee, record.tax, record.cost, record.postings) == (0, 0, 0, ())
    assert record.callee_in == CALLEE
    assert (record.rate_prefix is None) == (condition not in {"rate type", "no route", "no balance"})
    assert scene.vendor.calls == []


@pytest.mark.parametrize(("earlier", "later"), list(combinations(CONDITIONS, 2)))
def test_of_two_failing_conditions_the_earlier_wins(earlier, later):
    scene = scene_with(earlier, later)
    call = refused(scene, hops=0 if "max forwards" in (earlier, later) else 70)
    assert (scene.record.end_reason, call.final) == CONDITIONS[earlier]
    assert scene.exchange.leftovers() == {}


def test_an_unknown_source_is_dropped_before_any_other_check():
    scene = scene_with(*CONDITIONS)
    unknown = scene.exchange.caller(Endpoint("198.51.100.66", 5060))
    call = unknown.call(CALLEE, Intent(hops=0))
    scene.wire.run_until(lambda: call.is_over)
    assert unknown.heard == []
    assert scene.exchange.sink.records == []
    assert scene.exchange.residue() == {}


def test_an_unknown_source_may_get_403():
    scene = Scene(sip=SipSettings(answers_unknown_sources=True))
    unknown = scene.exchange.caller(Endpoint("198.51.100.66", 5060))
    call = unknown.call(CALLEE)
    scene.wire.run_until(lambda: call.is_over)
    assert call.final == 403
    assert scene.exchange.sink.records == []
    assert scene.exchange.residue() == {}


def test_a_vendor_that_calls_is_an_unknown_source():
    """A routing gateway's address is known to the switch, but has no account for its calls."""
    scene = Scene()
    intruder = scene.exchange.caller(scene.vendor.address)
    call = intruder.call(CALLEE)
    scene.wire.run_until(lambda: call.is_over)
    assert intruder.heard == []
    assert scene.exchange.sink.records == []
    assert scene.exchange.residue() == {}


def test_a_disabled_gateway_gets_a_refusal_and_a_record():
    scene = Scene(catalogue([acme(enabled=False), vendor_gateway(0)]))
    call = refused(scene)
    assert call.final == 403
    record = scene.record
    assert (record.mapping_gateway, record.end_reason, record.sip_code) == ("acme", "Account Disabled", 403)
    assert (record.fee, record.attempts) == (0, ())
    assert scene.exchange.residue() == {}


def test_overload_is_answered_with_retry_after_and_counted_without_record():
    """The record would only add to what cannot be written."""
    scene = Scene()
    scene.exchange.sink.refuses_calls = True
    for _ in range(3):
        call = refused(scene)
        assert call.final == 503
        assert 1 <= int(call.refusal["Retry-After"]) <= 5
        assert 'text="Overload"' in call.refusal["Reason"]
    assert scene.exchange.sink.records == []
    assert scene.exchange.switch.notices.unrecorded == {EndReason.OVERLOAD: 3}
    assert scene.exchange.residue() == {}


def test_a_call_that_was_here_before_is_refused_with_482():
    scene = Scene()
    mark = scene.exchange.endpoint.flows.mark
    call = refused(scene, headers=(f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch={mark}1",))
    assert call.final == 482
    assert scene.close().end_reason == "Loop"


def test_a_via_with_our_address_and_another_branch_is_no_loop():
    scene = Scene()
    call = refused(scene, headers=("Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-x",), hang_up_after_ms=100)
    assert call.final == 200
    scene.close()


@pytest.mark.parametrize(("given", "sent"), [(1, "0"), (2, "1"), (70, "69"), (255, "69")])
def test_max_forwards_is_lowered_and_capped(given, sent):
    scene = Scene()
    refused(scene, hops=given, hang_up_after_ms=100)
    assert scene.vendor.only_call.invite["Max-Forwards"] == sent
    scene.close()


def test_an_invite_without_contact_takes_nothing():
    scene = Scene()
    call = scene.whole_call(Intent(cancel_after_ms=10))
    invite = call.request("INVITE", 1, "z9hG4bK-no-contact").replace("Contact:", "X-Contact:")
    call.agent.send(invite.replace(call.call_id, "no-contact"))
    scene.wire.run_for(10)
    assert scene.caller.heard[-1].status == 400
    assert scene.caller.heard[-1]["Warning"].endswith('"Missing Contact"')
    assert scene.exchange.residue() == {}
    assert len(scene.exchange.sink.records) == 1


# -- capacity ---------------------------------------------------------------------------------------------------


def with_limit(scope, **limit):
    payer = account("acme", **(limit if scope == "account" else {}))
    gateway = acme(**(limit if scope == "mapping" else {}))
    vendor = vendor_gateway(0, **(limit if scope == "routing" else {}))
    return Scene(catalogue([gateway, vendor], accounts=[payer]))


CONCURRENCY = {"mapping": "Gateway Capacity", "account": "Account Capacity", "routing": "No Available Route"}
RATE = {"mapping": "Gateway Rate Limit", "account": "Account Capacity", "routing": "No Available Route"}


@pytest.mark.parametrize("scope", CONCURRENCY)
def test_concurrency_is_limited_until_a_call_is_over(scope):
    scene = with_limit(scope, max_concurrent=2)
    first, second, third = (scene.caller.call(CALLEE) for _ in range(3))
    scene.wire.run_for(2_000)
    assert [call.final for call in (first, second, third)] == [200, 200, 503]
    assert scene.record.end_reason == CONCURRENCY[scope]
    scene.hang_up(first, wait_ms=100)
    fourth = scene.begun_call(after_ms=2_000)
    assert fourth.final == 200
    for call in (second, fourth):
        call.hang_up()
    scene.expect_nothing_left(within_ms=100)


@pytest.mark.parametrize("scope", RATE)
def test_the_rate_is_limited_in_a_sliding_second_and_refused_calls_do_not_count(scope):
    scene = with_limit(scope, max_cps=2)
    scene.vendor.script = RINGS
    calls, passed_ms = {}, 0
    for at in (0, 400, 800, 999, 1_000, 1_300, 1_400):
        scene.wire.run_for(at - passed_ms)
        calls[at], passed_ms = scene.caller.call(CALLEE), at
    scene.wire.run_for(100)
    refused_at = [at for at, call in calls.items() if call.final == 503]
    assert refused_at == [800, 999, 1_300]
    assert {record.end_reason for record in scene.exchange.sink.records} == {RATE[scope]}
    for call in calls.values():
        call.cancel()
    scene.expect_nothing_left(within_ms=1_000)


def test_a_call_refused_for_a_later_reason_does_not_count_for_the_rate():
    scene = Scene(catalogue([acme(max_cps=1), vendor_gateway(0)]))
    assert [refused(scene, "33123").final for _ in range(3)] == [403, 403, 403]
    assert refused(scene, hang_up_after_ms=10).final == 200


def test_a_gateway_that_fills_up_between_admission_and_attempt_is_passed_over():
    scene = Scene(usual_catalogue(terms={"max_concurrent": 1}))
    first = scene.begun_call(script=RINGS)
    second = scene.caller.call(CALLEE, Intent(hang_up_after_ms=10))
    third = scene.begun_call(after_ms=3_000)
    assert [call.final for call in (first, second, third)] == [None, 200, 503]
    first.cancel()
    scene.expect_nothing_left(within_ms=1_000)


def test_a_prepaid_vendor_without_money_is_left_out():
    broke = account("carriers", type=AccountType.CLEARING, rate_group="buy", overdraft_limit=Decimal(0))
    scene = Scene(catalogue([acme(), vendor_gateway(0)], accounts=[broke]))
    assert refused(scene).final == 503
    assert scene.close().end_reason == "No Available Route"


def test_a_gateway_without_buy_rate_is_left_out():
    scene = Scene(catalogue([acme(), vendor_gateway(0)], rate_groups=[rate_group("buy", applied_rate(prefix="33"))]))
    assert refused(scene).final == 503
    assert scene.close().end_reason == "No Available Route"


def test_a_tech_prefix_is_taken_off_before_rate_and_route():
    scene = Scene(catalogue([acme(tech_prefix="7001"), vendor_gateway(0)]))
    refused(scene, f"7001{CALLEE}", hang_up_after_ms=100)
    record = scene.close()
    assert (record.callee_in, record.callee_out, record.callee_billing) == (f"7001{CALLEE}", CALLEE, CALLEE)


def test_a_plus_is_kept_in_the_record_and_ignored_in_matching():
    scene = Scene()
    refused(scene, f"+{CALLEE}", hang_up_after_ms=100)
    record = scene.close()
    assert (record.callee_in, record.callee_out, record.callee_billing) == (f"+{CALLEE}", f"+{CALLEE}", CALLEE)


def test_an_address_is_not_enough_for_a_trunk_with_credentials():
    """The authentication gate refuses it earlier; if it ever did not, the steps would."""
    proven = acme(credentials=credentials("acme", "secret"))
    admission = Admission(catalogue([proven]), LiveState())
    call = CallRequest(CUSTOMER.host, CUSTOMER.port, 69, at=START, numbers=TransferNumbers("1", CALLEE))
    refusal = Setup(admission, call, iter(STEPS)).advance()
    assert (refusal.reason.text, refusal.status) == ("Authentication Failed", 401)
    call.user = "acme"
    assert admission.identify(call) is None
    call.user = "other"
    assert admission.identify(call).reason.text == "Unknown Source"
