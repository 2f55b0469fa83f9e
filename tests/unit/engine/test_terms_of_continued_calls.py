"""A call that goes on in another process keeps its terms, whatever has become of its trunks and accounts meanwhile."""

from dataclasses import replace
from decimal import Decimal

import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group, rating_policy
from doubles.journals import new_journal
from doubles.killed import KilledScene
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER
from doubles.successor import without_holds
from doubles.virtual.customer import KNOWS_TIMER, SUPPORTS_100REL, Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import Line, Script, answers, answers_timed

from vosd.b2bua.settings import DeadCallBilling
from vosd.base.session_timer import Probe, SessionTimerSettings
from vosd.billing.accounts import AccountType
from vosd.engine.calls.gone import accounts_gone
from vosd.trunks.dialect import CalleeDialect, CallerDialect

LIMIT_S = 120
BEFORE = SessionTimerSettings(ttl_s=120, segment=3, probe=Probe.NONE, no_timer_limit_s=LIMIT_S)
TIMED = SessionTimerSettings(ttl_s=120)
AFTER = SessionTimerSettings(ttl_s=1_800, segment=2, probe=Probe.OPTIONS, no_timer_limit_s=0)
STRICT = rating_policy(hold_time_precision_ms=0)
MOVES = ["as it was answered", "after a change"]


def content(timer, **parameters):
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(session_timer=timer))
    vendors = [vendor_gateway(index, dialect=CalleeDialect(session_timer=timer)) for index in range(2)]
    return catalogue([trunk, *vendors], **parameters)


def without(given, *, trunks=True, accounts=True):
    """Return a catalogue from which the trunks of the call are gone, and their accounts as well."""
    return replace(
        given,
        mapping_gateways={} if trunks else given.mapping_gateways,
        routing_gateways={} if trunks else given.routing_gateways,
        accounts={} if accounts else given.accounts,
    )


def begin(tmp_path, first, move, intent=None, script=None, balance="100"):
    scene = KilledScene(tmp_path, first, balance=balance)
    call, there = scene.talk(intent, script or answers())
    if move == "after a change":
        call.propose("a=sendonly")
    scene.wire.run_for(2_000)
    return scene, call, there


@pytest.mark.parametrize("move", MOVES)
def test_a_call_without_session_timer_keeps_its_longest_duration(tmp_path, move):
    scene, _, _ = begin(tmp_path, content(BEFORE), move)
    scene.content = content(AFTER)
    scene.kill(then_ms=LIMIT_S * 1_000)
    record = scene.record
    assert record.end_reason == "Maximum Duration"
    assert record.hold_time_ms == LIMIT_S * 1_000
    assert b"OPTIONS sip:" not in scene.bytes_to(CUSTOMER)


def test_a_peer_keeps_the_shorter_interval_of_its_answer_to_a_refresh(tmp_path):
    terms, script = content(SessionTimerSettings(ttl_s=600, segment=2)), answers_timed("600;refresher=uac")
    scene, _, there = begin(tmp_path, terms, "as it was answered", script=script)
    there.knows_timer = False
    there.will("UPDATE", Reply(headers=("Session-Expires: 120;refresher=uac",)))
    scene.wire.run_until(lambda: there.asked["UPDATE"])
    scene.wire.run_for(2_000)
    there.gone = 0
    scene.kill(then_ms=130_000)
    assert scene.record.end_reason == "Session Timeout"


@pytest.mark.parametrize("move", MOVES)
def test_a_call_lasts_no_longer_than_its_vendor_takes_calls(tmp_path, move):
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    vendors = [vendor_gateway(index, max_call_seconds=60 * (1 + index)) for index in range(2)]
    scene, _, _ = begin(tmp_path, catalogue([trunk, *vendors]), move)
    scene.content = catalogue([trunk, *map(vendor_gateway, range(2))])
    scene.kill(then_ms=200_000)
    record = scene.close()
    assert (record.end_reason, record.hold_time_ms) == ("Maximum Duration", 60_000)


def held(scene):
    (live_call,) = scene.exchange.switch.calls()
    hold = live_call.call_request.hold
    return hold.granted_s, [(each.credit.account, each.amount, each.granted_s, each.lead_s) for each in hold.holds]


@pytest.mark.parametrize("move", MOVES)
def test_a_call_holds_of_each_account_after_a_kill_what_it_held_before(tmp_path, move):
    """An agent that reserves more than its customer at a time goes on doing so."""
    limit = Decimal(9)
    accounts = [
        account("acme", agent="south", advance_s=30),
        account("south", overdraft_limit=limit, advance_s=90),
        account("carriers", type=AccountType.CLEARING, rate_group="buy", overdraft_limit=limit),
    ]
    scene, _, _ = begin(tmp_path, content(TIMED, accounts=accounts), move)
    before = held(scene)
    assert [(name, granted_s) for name, _, granted_s, _ in before[1]] == [("acme", 30), ("south", 90), ("carriers", 60)]
    scene.kill(then_ms=1)
    assert held(scene) == before


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_vendor_pays_for_the_time_before_our_200_out_of_what_it_has(tmp_path, is_killed):
    """Its answer is three seconds old when the caller's 200 goes out: of 61 seconds 58 are left for the call."""
    carriers = account("carriers", type=AccountType.CLEARING, rate_group="buy", overdraft_limit=Decimal(0))
    content = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), *map(vendor_gateway, range(2))],
        accounts=[carriers],
        rate_groups=[rate_group("sell", applied_rate("1.20")), rate_group("buy", applied_rate("0.60", policy=STRICT))],
    )
    scene = KilledScene(tmp_path, content)
    scene.exchange.credits["carriers"].committed(Decimal("0.61"), 2)
    scene.balances["carriers"] = without_holds(scene.exchange.credits["carriers"])
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(10, 200, ANSWER)))
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL, pracks=False), after_ms=3_010)
    early = call.response(183)
    call.remote, call.target = early["To"], early.target
    call.ask("PRACK", headers=(f"RAck: {early['RSeq']} 1 INVITE",))
    scene.wire.run_for(2_000)
    if is_killed:
        scene.kill()
    scene.wire.run_for(70_000)
    record = scene.close()
    assert record.end_reason == "Balance Exhausted"
    assert (record.hold_time_ms, record.cost) == (58_000, Decimal("0.61"))


@pytest.mark.parametrize("move", MOVES)
def test_a_session_is_refreshed_as_it_was_agreed(tmp_path, move):
    scene, call, there = begin(
        tmp_path, content(BEFORE), move, Intent(headers=KNOWS_TIMER), answers_timed("120;refresher=uac")
    )
    scene.content = content(AFTER)
    scene.kill(then_ms=20_000)
    refreshes = len(there.asked["INVITE"]) + len(there.asked["UPDATE"])
    scene.wire.run_for(120_000)
    # one part of three of the interval, as agreed; by the new file it would be a half
    assert len(there.asked["INVITE"]) + len(there.asked["UPDATE"]) == refreshes + 3
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("is_killed", [True, False])
def test_a_refresh_asks_for_no_less_than_the_invite_of_the_caller_did(tmp_path, move, is_killed):
    """RFC 4028 section 5: its Min-SE is the largest one of the requests that came, and of 422 responses."""
    wish = Intent(headers=("Supported: timer", "Session-Expires: 200", "Min-SE: 150"))
    scene, call, _ = begin(tmp_path, content(TIMED), move, wish)
    if is_killed:
        scene.kill(then_ms=20_000)
    scene.wire.run_for(200_000)
    refreshes = (*call.asked["INVITE"], *call.asked["UPDATE"])
    assert {each["Min-SE"] for each in refreshes} == {"150"}
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize("move", MOVES)
def test_a_call_whose_peer_vanishes_is_billed_as_it_was_made(tmp_path, move):
    """Until the last proof of life, not until the end of its time was noticed."""
    first = content(TIMED, dead_call_billing=DeadCallBilling.PROOF)
    scene, call, there = begin(tmp_path, first, move, script=answers_timed("120;refresher=uac"))
    scene.content = content(TIMED)
    scene.kill(then_ms=10_000)
    call.gone = there.gone = 0
    scene.wire.run_for(400_000)
    record = scene.record
    assert record.end_reason == "Session Timeout"
    assert record.hold_time_ms < 60_000
    assert '"dead_call_billing":"proof"' in record.fee_breakdown


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("ends", ["caller", "callee"])
@pytest.mark.parametrize(("trunks", "accounts"), [(True, False), (True, True)])
def test_a_call_of_trunks_and_accounts_that_are_gone_goes_on_and_is_billed(tmp_path, move, ends, trunks, accounts):
    first = content(BEFORE)
    scene, call, there = begin(tmp_path, first, move)
    scene.content = without(first, trunks=trunks, accounts=accounts)
    scene.kill(then_ms=80_000)
    assert scene.lost == []
    (call if ends == "caller" else there).hang_up()
    scene.wire.run_until(lambda: call.is_over and there.is_over)
    record = scene.close()
    assert (record.end_reason, record.hangup_source) == ("Normal", ends)
    assert (record.mapping_gateway, record.routing_gateway) == ("acme", "vendor-0")
    assert record.fee == Decimal(record.billed_seconds) / 100
    assert record.cost == Decimal(record.billed_seconds) / 200
    assert {posting.account for posting in record.postings} == {"acme", "carriers"}


@pytest.mark.parametrize("move", MOVES)
def test_the_money_of_an_account_that_is_gone_ends_its_call_in_time(tmp_path, move):
    first = content(TIMED)
    scene, _, _ = begin(tmp_path, first, move, balance="1.50")
    scene.content = without(first)
    scene.kill(then_ms=200_000)
    record = scene.close()
    assert record.end_reason == "Balance Exhausted"
    assert record.fee == Decimal("1.50")


@pytest.mark.parametrize("move", MOVES)
def test_a_trunk_that_is_gone_begins_no_other_call_by_a_transfer(tmp_path, move):
    first = content(BEFORE)
    scene, call, _ = begin(tmp_path, first, move)
    scene.content = without(first)
    scene.kill(then_ms=1_000)
    call.ask("REFER", headers=(f"Refer-To: <sip:{CALLEE}@192.0.2.1>",))
    scene.wire.run_for(2_000)
    assert call.got["REFER"][0] >= 400
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize(("is_gone", "status"), [(True, 403), (False, 202)])
def test_a_trunk_that_has_taken_a_call_over_and_is_gone_begins_none_either(tmp_path, is_gone, status):
    branch = Endpoint("198.51.100.77", 5_060)
    mine = mapping_gateway("branch", f"{branch.host}/32", account="acme")
    kept = [*content(AFTER).mapping_gateways.values(), *map(vendor_gateway, range(2))]
    scene, call, there = begin(tmp_path, catalogue([mine, *kept]), "as it was answered")
    pickup = scene.exchange.caller(branch).call(CALLEE, Intent(headers=(f"Replaces: {call.replaces}",)))
    scene.wire.run_for(2_000)
    scene.content = catalogue(kept if is_gone else [mine, *kept])
    scene.kill(then_ms=1_000)
    pickup.ask("REFER", headers=(f"Refer-To: <sip:{CALLEE}@192.0.2.1>",))
    scene.wire.run_for(2_000)
    assert (scene.lost, pickup.got["REFER"]) == ([], [status])
    scene.hang_up(there, wait_ms=2_000)
    payers = {each.mapping_gateway for each in scene.exchange.sink.records if each.end_reason == "Normal"}
    assert payers == ({"acme"} if is_gone else {"acme", "branch"})


def test_the_overdraft_limit_of_a_former_account_is_that_of_its_latest_call(tmp_path):
    """It is not in the ledger, and the balance alone says nothing of what calls may cost."""
    first = content(BEFORE)
    first = replace(first, accounts={**first.accounts, "acme": account("acme", overdraft_limit=Decimal(7))})
    scene, _, _ = begin(tmp_path, first, "as it was answered")
    scene.sink.journal.close()
    found = accounts_gone(new_journal(tmp_path).open().open_calls.values(), without(first))
    assert found["acme"].overdraft_limit == Decimal(7)
    assert found["carriers"].currency == "USD"
