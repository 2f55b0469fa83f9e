"""With SS_STARTBILLINGTIME 1 an INVITE is charged from when it leaves, and one that never left costs nothing."""

from decimal import Decimal

import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, phone, rate_group
from doubles.doorkeeper import ScriptedDoorkeeper, Treatment
from doubles.killed import KilledScene
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import ANSWER, Line, Script, answers, refuses

from vosd.engine.journal.entries import PlacedCall, entries_in
from vosd.engine.journal.files import IN_USE, listed
from vosd.trunks.dids import Did
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings
from vosd.trunks.ringing import RingOrder

SELL, BUY = applied_rate("0.60", 1), applied_rate("0.30", 1)
WITHHELD = Treatment(longest_ms=2_000, may_leave=False)
LATE = Treatment(2_000, longest_ms=3_000)


def content(vendors, *, charges_ringing=True):
    terms = {"ring_timeout_ms": 10_000, "failover_after_ringing": True}
    gateways = [vendor_gateway(number, **terms) for number in range(vendors)]
    accounts = [
        account("acme", overdraft_limit=Decimal(0)),
        account("carriers", rate_group="buy", overdraft_limit=None),
    ]
    rates = [rate_group("sell", SELL), rate_group("buy", BUY)]
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    return catalogue([trunk, *gateways], rate_groups=rates, accounts=accounts, charges_ringing=charges_ringing)


def scene_with(treatment, vendors=1, scene=Scene):
    keeper = ScriptedDoorkeeper({} if treatment is None else {"INVITE": treatment})
    made = scene(content(vendors), doorkeeper=keeper)
    keeper.exchange = made.exchange
    return made, keeper


def billed(record):
    return record.billed_seconds, record.vendor_billed_seconds


@pytest.mark.parametrize(
    ("treatment", "intent", "reason"),
    [(WITHHELD, None, "No Media Port"), (LATE, Intent(cancel_after_ms=1_500), "Cancelled")],
)
def test_a_call_whose_invite_has_not_left_costs_nothing(treatment, intent, reason):
    scene, _ = scene_with(treatment)
    scene.whole_call(intent)
    record = scene.close()
    assert (record.end_reason, record.billing_base_ms, record.postings) == (reason, None, ())
    assert (record.routing_gateway, record.sip_call_id_out, record.vendor_account) == (None, None, None)
    assert [row.code for row in record.attempts] == [0]


def test_an_invite_that_has_waited_is_charged_from_when_it_leaves():
    scene, _ = scene_with(LATE)
    scene.whole_call(Intent(hang_up_after_ms=4_000), script=answers(3_000))
    record = scene.close()
    assert billed(record) == (7, 7)
    assert record.ended_at - record.started_at in range(9_000, 9_200)


@pytest.mark.parametrize("ends", ["not sent", "cancelled", "in time"])
def test_the_vendor_before_is_paid_from_its_own_invite_where_the_next_one_is_not_sent(ends):
    """It was paid from the moment at which the next one was tried, and as if it had been that one; then to the end."""
    scene, keeper = scene_with(None, vendors=2)
    scene.vendor.script = Script((Line(0, 180), Line(5_000, 503)))
    scene.vendors[1].script = answers(3_000)
    call = scene.caller.call(
        CALLEE, Intent(cancel_after_ms=6_000 if ends == "cancelled" else None, hang_up_after_ms=4_000)
    )
    scene.wire.run_for(1_000)
    keeper.treatments = {"INVITE": LATE if ends == "in time" else WITHHELD}
    record = scene.end_of(call)
    first, second = ([*vendor.calls, None][0] for vendor in scene.vendors[:2])
    if ends == "in time":
        assert (record.routing_gateway, record.sip_call_id_out) == ("vendor-1", second.call_id)
        assert billed(record) == (14, 7)
    else:
        assert (record.routing_gateway, record.sip_call_id_out) == ("vendor-0", first.call_id)
        assert billed(record) == (7 if ends == "not sent" else 6, 5)
        assert [each.was_sent for each in record.attempts] == [True, ends == "cancelled"]


@pytest.mark.parametrize("phones", [("7001",), ("7001", "7002", "7003")])
@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_trunk_behind_phones_is_not_paid_where_its_invite_is_not_sent(phones, is_cancelled):
    """It was paid for the ringing of the phones, where those rang together."""
    order = RingOrder.TOGETHER if len(phones) > 1 else RingOrder.IN_TURN
    did = Did("4420946000", "acme", phones=phones, ring=order, ring_timeout_ms=5_000, trunk="vendor-0")
    accounts = [account("acme", overdraft_limit=None), account("carriers", rate_group="buy", overdraft_limit=None)]
    keeper = ScriptedDoorkeeper({})
    scene = Scene(
        catalogue(
            [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)], charges_ringing=True, dids=[did],
            rate_groups=[rate_group("sell", SELL), rate_group("buy", BUY)], accounts=[*accounts, account("other")],
            phones=[phone(name) for name in phones],
        ),
        doorkeeper=keeper,
    )  # fmt: skip
    keeper.exchange = scene.exchange
    refusing = Script((Line(0, 180), Line(4_000, 480)))
    for port, name in enumerate(phones, 5_070):
        scene.exchange.telephone(name, Endpoint("203.0.113.66", port), script=refusing).register()
    call = scene.begun_call(Intent(cancel_after_ms=5_000 if is_cancelled else None), callee=did.number, after_ms=2_000)
    keeper.treatments = {"INVITE": WITHHELD}
    record = scene.end_of(call)
    assert scene.vendor.calls == []
    assert [each.gateway for each in record.attempts] == [*phones, "vendor-0"]
    assert (record.routing_gateway, record.vendor_account, record.cost) == (phones[-1], None, 0)
    assert record.billed_seconds == (5 if is_cancelled else 6)


def test_a_late_answer_while_the_next_invite_waits_is_paid_once():
    scene, keeper = scene_with(None, vendors=2)
    call = scene.begun_call(script=Script((Line(0, 180),), accepts_cancel=False), after_ms=1_000)
    keeper.treatments = {"INVITE": WITHHELD}
    scene.wire.run_until(lambda: scene.exchange.endpoint.doors.waiting)
    scene.wire.run_for(500)
    scene.vendor.only_call.respond(Line(0, 200, ANSWER))
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(40_000)
    (record,), (late,) = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert (late.routing_gateway, late.vendor_paid_ms, late.vendor_billed_seconds) == ("vendor-0", None, 12)
    assert (record.cost, record.vendor_account, record.routing_gateway) == (0, None, None)
    assert record.billed_seconds == 12


@pytest.mark.parametrize("waits_again", [False, True])
def test_an_invite_that_waits_over_a_restart_is_charged_from_when_it_leaves(tmp_path, waits_again):
    scene, keeper = scene_with(
        Treatment(longest_ms=2_000), scene=lambda *given, **terms: KilledScene(tmp_path, *given, **terms)
    )
    call = scene.begun_call(Intent(hang_up_after_ms=4_000), script=answers(3_000), after_ms=1_000)
    if not waits_again:
        keeper.treatments = {}
    scene.stop_and_keep()
    scene.wire.run_until(lambda: call.is_over)
    assert billed(scene.record) == (7, 7)


def test_a_kill_while_the_first_invite_waits_charges_no_one(tmp_path):
    scene, keeper = scene_with(
        Treatment(longest_ms=2_000), scene=lambda *given, **terms: KilledScene(tmp_path, *given, **terms)
    )
    scene.caller.call(CALLEE)
    scene.wire.run_for(1_500)
    keeper.treatments = {}
    scene.kill(then_ms=70_000)
    assert [(record.end_reason, record.postings) for record in scene.exchange.sink.all_records] == [("Lost", ())]


@pytest.mark.parametrize("answers_late", [False, True])
def test_a_kill_while_the_next_invite_waits_pays_the_vendor_before_until_it_was_left(tmp_path, answers_late):
    """It was paid for the wait, too, and its row was Lost."""
    scene, keeper = scene_with(None, vendors=2, scene=lambda *given, **terms: KilledScene(tmp_path, *given, **terms))
    refuses_at_5_s = Script((Line(0, 180), Line(5_000, 503)))
    rings_on = Script((Line(0, 180),), accepts_cancel=False)
    scene.vendor.script = rings_on if answers_late else refuses_at_5_s
    scene.caller.call(CALLEE)
    scene.wire.run_for(1_000)
    keeper.treatments = {"INVITE": WITHHELD}
    scene.wire.run_until(lambda: scene.exchange.endpoint.doors.waiting)
    scene.wire.run_for(1_500)
    scene.kill(then_ms=500)
    if answers_late:
        scene.vendor.only_call.respond(Line(0, 200, ANSWER))
    scene.wire.run_for(70_000)
    lasts_s = 10 if answers_late else 5
    (lost,), late = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert (lost.routing_gateway, lost.vendor_billed_seconds, lost.billed_seconds) == ("vendor-0", lasts_s, lasts_s + 1)
    assert [row.reason for row in lost.attempts] == ["No Answer" if answers_late else "Unavailable"]
    assert [each.vendor_paid_ms for each in late] == [lost.vendor_billing_base_ms] * answers_late
    assert sum(each.vendor_billed_seconds for each in late) == 3 * answers_late


@pytest.mark.parametrize(("treatment", "seconds"), [(WITHHELD, 5), (LATE, 8)])
def test_an_invite_that_waits_after_a_422_is_charged_from_the_one_before(treatment, seconds):
    scene, keeper = scene_with(None)
    call = scene.begun_call(script=refuses(422, 3_000, headers=("Min-SE: 3600",)), after_ms=1_000)
    keeper.treatments = {"INVITE": treatment}
    record = scene.end_of(call)
    assert (record.routing_gateway, billed(record)) == ("vendor-0", (seconds, seconds))


def test_an_invite_that_waits_after_a_422_over_a_restart_is_charged_from_the_one_before(tmp_path):
    scene, keeper = scene_with(None, scene=lambda *given, **terms: KilledScene(tmp_path, *given, **terms))
    call = scene.begun_call(script=refuses(422, 3_000, headers=("Min-SE: 3600",)), after_ms=1_000)
    keeper.treatments = {"INVITE": WITHHELD}
    scene.wire.run_until(lambda: scene.exchange.endpoint.doors.waiting)
    keeper.treatments = {}
    scene.stop_and_keep()
    scene.wire.run_until(lambda: call.is_over)
    assert billed(scene.record) == (6, 6)
    assert [row.ms // 1_000 for row in scene.record.attempts] == [6]


@pytest.mark.parametrize("charges_ringing", [False, True])
def test_an_invite_that_has_waited_is_journalled_again_only_where_it_is_charged_from_when_it_leaves(
    tmp_path, charges_ringing
):
    """Each one was written twice, 1.8 KB a call more."""
    keeper = ScriptedDoorkeeper({"INVITE": LATE})
    scene = KilledScene(tmp_path, content(1, charges_ringing=charges_ringing), doorkeeper=keeper)
    keeper.exchange = scene.exchange
    scene.caller.call(CALLEE)
    scene.wire.run_for(3_500)
    (file,) = listed(tmp_path, IN_USE)
    with file.open("rb") as opened:
        placed = [each for each in entries_in(opened) if isinstance(each, PlacedCall)]
    waited_ms = [each.record.ended_at - placed[0].record.ended_at for each in placed]
    assert waited_ms == ([0, 2_000] if charges_ringing else [0])


def test_a_kill_behind_a_late_answer_while_the_next_invite_waits_pays_it_once(tmp_path):
    scene, keeper = scene_with(None, vendors=2, scene=lambda *given, **terms: KilledScene(tmp_path, *given, **terms))
    scene.vendor.script = Script((Line(0, 180),), accepts_cancel=False)
    scene.caller.call(CALLEE)
    scene.wire.run_for(1_000)
    keeper.treatments = {"INVITE": WITHHELD}
    scene.wire.run_until(lambda: scene.exchange.endpoint.doors.waiting)
    scene.wire.run_for(500)
    scene.vendor.only_call.respond(Line(0, 200, ANSWER))
    scene.wire.run_for(500)
    scene.kill(then_ms=70_000)
    late, lost = scene.exchange.sink.all_records
    assert (late.routing_gateway, late.vendor_billed_seconds) == ("vendor-0", 12)
    assert (lost.end_reason, lost.cost, lost.vendor_account, lost.billed_seconds) == ("Lost", 0, None, 11)
    assert [each.reason for each in lost.attempts] == ["No Answer", "Late Answer"]


def test_an_answer_that_cannot_be_used_is_paid_once_where_the_next_invite_is_not_sent():
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32", media=MediaSettings(codecs=("pcmu",)))]
    accounts = [account("acme", overdraft_limit=None), account("carriers", rate_group="buy", overdraft_limit=None)]
    media, engines = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON), VirtualRtpEngines()
    scene = Scene(
        catalogue(
            [*known, *map(vendor_gateway, range(2))], media=media, charges_ringing=True,
            rate_groups=[rate_group("sell", SELL), rate_group("buy", BUY)], accounts=accounts,
        ),
        rtpengines=engines,
    )  # fmt: skip
    other_codec = ANSWER.replace("RTP/AVP 0 101", "RTP/AVP 18").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:18 G729/8000")
    scene.vendor.script = Script((Line(0, 180), Line(10_500, 200, other_codec)))
    scene.caller.call(CALLEE)
    scene.wire.run_for(10_000)
    engines.is_silent = True
    scene.wire.run_for(70_000)
    late, whole = scene.exchange.sink.all_records
    assert (late.routing_gateway, late.vendor_billed_seconds, late.cost > 0) == ("vendor-0", 12, True)
    assert (whole.cost, whole.vendor_account, whole.fee > 0) == (0, None, True)


@pytest.mark.parametrize("stops_before", [False, True])
@pytest.mark.parametrize("waits_again", [False, True])
def test_a_late_answer_behind_a_kill_is_paid_from_when_its_invite_left(tmp_path, stops_before, waits_again):
    """It was paid from when the INVITE came to the door: for the wait for a description, too."""
    scene, keeper = scene_with(
        Treatment(longest_ms=2_000), scene=lambda *given, **terms: KilledScene(tmp_path, *given, **terms)
    )
    scene.vendor.script = Script((Line(0, 180),), accepts_cancel=False)
    scene.caller.call(CALLEE)
    scene.wire.run_for(1_000)
    if not waits_again:
        keeper.treatments = {}
    if stops_before:
        scene.stop_and_keep()
    scene.wire.run_until(lambda: scene.vendor.calls)
    left_at = scene.exchange.clock.now().wall
    scene.wire.run_for(4_000)
    scene.kill(then_ms=500)
    scene.vendor.only_call.respond(Line(0, 200, ANSWER))
    scene.wire.run_for(40_000)
    (lost,), (late,) = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert abs(late.started_at - left_at) <= 50
    assert (lost.vendor_paid_ms, late.vendor_paid_ms) == (None, lost.vendor_billing_base_ms)
    assert late.vendor_billing_base_ms == late.vendor_answered_at - late.started_at + 1_000
    assert lost.vendor_billed_seconds + late.vendor_billed_seconds == 6
