"""A vendor answers behind a kill, and the switch is killed, or restarted, again while another INVITE is awaited."""

from decimal import Decimal

import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group
from doubles.killed import SMALL_BYTES, KilledScene
from doubles.left_legs import INVITE
from doubles.virtual.scene import CALLEE, CUSTOMER, vendor_gateway
from doubles.virtual.vendor import ANSWER, Line, Script, refuses
from msgspec.structs import replace

from vosd.engine.journal.entries import PlacedCall, add_placed, refused_among

RINGS_ON = Script((Line(0, 180),), accepts_cancel=False)
COST = Decimal("0.30")
RESTARTS = [None, "kill", "stop_and_keep"]


def ringing(directory, first=RINGS_ON, latest=RINGS_ON, *, segment_bytes=None, charges_ringing=False):
    """Return a call that rings at the latest of its vendors, after the first one has refused it or was cancelled."""
    accounts = [account("acme", overdraft_limit=None), account("carriers", rate_group="buy", overdraft_limit=None)]
    rates = [rate_group("sell", applied_rate("0.60", 60)), rate_group("buy", applied_rate("0.30", 60))]
    terms = {"ring_timeout_ms": 5_000, "failover_after_ringing": True}
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), *(vendor_gateway(n, **terms) for n in range(2))]
    content = catalogue(trunks, accounts=accounts, rate_groups=rates, charges_ringing=charges_ringing)
    scene = KilledScene(directory, content, **({} if segment_bytes is None else {"segment_bytes": segment_bytes}))
    scene.vendors[0].script, scene.vendors[1].script = first, latest
    scene.call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: scene.vendors[1].calls)
    scene.wire.run_for(2_000)
    return scene


def answer(call):
    call.respond(Line(0, 200, ANSWER))


def again(scene, restart, after_ms=3_000):
    """Kill or restart the switch once more, after some time, and run on for a second."""
    scene.wire.run_for(after_ms)
    if restart is not None:
        getattr(scene, restart)()
    scene.wire.run_for(1_000)


def rows(record):
    return [(row.gateway, row.reason, row.code) for row in record.attempts]


@pytest.mark.parametrize("after_ms", [100, 3_000, 30_000])
@pytest.mark.parametrize("restart", RESTARTS)
@pytest.mark.parametrize(
    ("first", "row"),
    [(refuses(503), ("vendor-0", "Unavailable", 503)), (RINGS_ON, ("vendor-0", "No Answer", 0))],
    ids=["refused", "cancelled"],
)
def test_the_answer_of_the_latest_vendor_is_in_the_books_before_another_kill(tmp_path, first, row, restart, after_ms):
    """It waited for the INVITE of the vendor before, in memory alone, and was lost with its cost."""
    scene = ringing(tmp_path, first)
    scene.kill(then_ms=500)
    answer(scene.vendors[1].only_call)
    again(scene, restart, after_ms)
    scene.wire.run_for(70_000)
    [cut] = scene.exchange.sink.all_records
    assert (cut.end_reason, cut.routing_gateway, cut.cost) == ("Lost", "vendor-1", COST)
    assert rows(cut) == [row, ("vendor-1", "Late Answer", 200)]
    assert scene.vendors[1].only_call.is_over


@pytest.mark.parametrize("database_is_away", [False, True])
@pytest.mark.parametrize("restart", RESTARTS)
def test_the_vendor_before_that_is_paid_for_its_later_answer_all_the_same(tmp_path, restart, database_is_away):
    """The record of the call is written, and stays the only one."""
    scene = ringing(tmp_path)
    scene.is_database_away = database_is_away
    scene.kill(then_ms=500)
    answer(scene.vendors[1].only_call)
    again(scene, restart)
    answer(scene.vendors[0].only_call)
    again(scene, restart)
    scene.wire.run_for(70_000)
    late, cut = sorted(scene.exchange.sink.all_records, key=lambda record: record.end_reason)
    assert rows(cut) == [("vendor-0", "No Answer", 0), ("vendor-1", "Late Answer", 200)]
    assert (late.routing_gateway, late.is_cost_of_another, rows(late)) == (
        "vendor-0", True, [("vendor-0", "Late Answer", 200)],
    )  # fmt: skip
    assert late.cost == cut.cost == COST


@pytest.mark.parametrize("charges_ringing", [False, True])
@pytest.mark.parametrize("restart", RESTARTS)
def test_a_further_fork_that_answers_behind_another_kill_leaves_no_second_record(tmp_path, restart, charges_ringing):
    forks = RINGS_ON._replace(forks=(RINGS_ON,))
    scene = ringing(tmp_path, latest=forks, charges_ringing=charges_ringing)
    scene.kill(then_ms=500)
    one, other = scene.vendors[1].calls
    answer(one)
    again(scene, restart)
    answer(other)
    scene.wire.run_for(70_000)
    records = scene.exchange.sink.all_records
    assert [record.end_reason for record in records] == (["Lost", "Cancelled"] if charges_ringing else ["Lost"])
    assert sum(record.cost for record in records) == COST
    assert one.is_over
    assert other.is_over


@pytest.mark.parametrize("charges_ringing", [False, True])
@pytest.mark.parametrize("segment_bytes", [None, SMALL_BYTES])
def test_an_invite_that_was_refused_before_the_kill_is_not_awaited(tmp_path, segment_bytes, charges_ringing):
    """The start waited 32 s for it, and sent it a CANCEL."""
    latest = RINGS_ON._replace(accepts_cancel=True)
    scene = ringing(tmp_path, refuses(503), latest, segment_bytes=segment_bytes, charges_ringing=charges_ringing)
    before = len(scene.wire.packets)
    scene.kill(then_ms=2_000)
    sent = [(each.target, each.data.split()[0]) for each in scene.wire.packets[before:] if each.source.port == 5060]
    assert not [each for each in sent if each[0] == scene.vendors[0].address]
    assert (scene.vendors[1].address, b"CANCEL") in sent
    [cut] = scene.exchange.sink.all_records
    assert rows(cut) == [("vendor-0", "Unavailable", 503), ("vendor-1", "Lost", 0 if charges_ringing else 487)]
    assert scene.call.final == 503


@pytest.mark.parametrize("after_ms", [20, 900])
def test_a_restart_between_two_marks_keeps_the_end_of_an_invite_whose_cancel_has_no_answer(tmp_path, after_ms):
    """The stop notes what has ended since the last mark; the CANCEL goes on."""
    scene = ringing(tmp_path, refuses(503), RINGS_ON._replace(accepts_cancel=True))
    scene.wire.delays = lambda packet: (
        () if packet.data.startswith(b"SIP/2.0 200") and b" CANCEL\r\n" in packet.data else (1,)
    )
    scene.kill(then_ms=after_ms)
    scene.stop_and_keep(100, then_ms=70_000)
    [cut] = scene.exchange.sink.all_records
    assert rows(cut) == [("vendor-0", "Unavailable", 503), ("vendor-1", "Lost", 487)]


def test_an_invite_that_was_answered_before_the_kill_is_kept(tmp_path):
    """The vendor may repeat its 200, which is booked: it is released by what the journal has."""
    scene = ringing(tmp_path)
    answer(scene.vendors[0].only_call)
    scene.wire.run_for(1_000)
    [placed] = scene.sink.journal._placed.values()
    assert [each.invite.gateway for each in placed] == ["vendor-0", "vendor-1"]


FORKS = Script((Line(0, 180), Line(300, 503)), forks=(RINGS_ON,))
ANSWERS = Script((Line(0, 180), Line(500, 200, ANSWER)))


@pytest.mark.parametrize("charges_ringing", [False, True])
@pytest.mark.parametrize("segment_bytes", [None, SMALL_BYTES])
@pytest.mark.parametrize("after_ms", [300, 31_000])
@pytest.mark.parametrize(
    ("latest", "end", "row", "cost"),
    [(RINGS_ON, "Lost", ("vendor-1", "Lost", 0), Decimal(0)), (ANSWERS, "Normal", ("vendor-1", "Answered", 200), COST)],
    ids=["rings", "has answered"],
)
def test_another_fork_that_answers_what_was_refused_before_the_kill_is_paid(
    tmp_path, latest, end, row, cost, after_ms, segment_bytes, charges_ringing
):
    """A proxy passes on every 200, also behind the failure of another fork (RFC 3261 section 16.7 step 5)."""
    scene = ringing(tmp_path, FORKS, latest, segment_bytes=segment_bytes, charges_ringing=charges_ringing)
    refused, fork = scene.vendors[0].calls
    before = len(scene.wire.packets)
    scene.kill(then_ms=after_ms)
    assert not [each for each in scene.wire.packets[before:] if each.target == scene.vendors[0].address]
    answer(fork)
    scene.wire.run_for(1_000)
    if scene.call.final == 200:
        scene.call.hang_up()
    scene.wire.run_for(70_000)
    late, whole = sorted(scene.exchange.sink.all_records, key=lambda record: record.end_reason)
    assert (late.routing_gateway, late.is_cost_of_another, late.cost) == ("vendor-0", True, COST)
    assert rows(late) == [("vendor-0", "Late Answer", 200)]
    assert (whole.end_reason, whole.cost) == (end, COST if charges_ringing else cost)
    assert rows(whole) == [("vendor-0", "Unavailable", 503), row]
    assert refused.final == 503
    assert fork.is_over


@pytest.mark.parametrize("charges_ringing", [False, True])
def test_another_fork_whose_answer_is_booked_before_the_kill_is_paid_once(tmp_path, charges_ringing):
    """The vendor without our ACK repeats its 200 behind the kill."""
    scene = ringing(tmp_path, FORKS, charges_ringing=charges_ringing)
    fork = scene.vendors[0].calls[1]
    answer(fork)
    scene.wire.run_for(500)
    scene.kill(then_ms=300)
    answer(fork)
    scene.wire.run_for(70_000)
    late, cut = sorted(scene.exchange.sink.all_records, key=lambda record: record.end_reason)
    assert (late.routing_gateway, late.cost) == ("vendor-0", COST)
    assert (cut.end_reason, cut.routing_gateway) == ("Lost", "vendor-1")
    assert cut.cost == (COST if charges_ringing else 0)


def test_an_invite_that_is_described_once_more_still_names_what_was_refused():
    """It names each once, and the journal keeps them."""
    first, placed = PlacedCall("call", INVITE, object()), []
    second = PlacedCall("call", replace(INVITE, via=b"other"), refused=(INVITE.via,))
    elsewhere = replace(second, invite=replace(second.invite, gateway="elsewhere"), refused=())
    assert add_placed(first, placed)
    assert add_placed(second, placed)
    assert add_placed(elsewhere, placed)
    assert placed == [first, replace(elsewhere, refused=(INVITE.via,))]
    assert refused_among(placed) == {INVITE.via}
