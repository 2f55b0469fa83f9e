"""INVITE with Replaces for a side of two calls that a transfer has joined (RFC 3891, ADR 193)."""

import pytest
from doubles.data.builders import phone
from doubles.desk_scene import (
    DESK,
    MATE,
    TARGET,
    are_connected,
    assert_no_faults,
    attended,
    blind,
    called,
    dialled,
    office,
    registered,
)
from doubles.keypad_scene import KEYS
from doubles.killed import KilledScene, interrupt
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import OFFER
from doubles.successor import replace_node
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.phone import VirtualPhone
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, Scene
from doubles.virtual.side import Reply, Side
from doubles.virtual.ua import UserAgent
from doubles.virtual.vendor import RINGS

from vosd.catalogue.catalogue import Catalogue
from vosd.sdp.media import media_of
from vosd.trunks.dialect import CallerDialect
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

THIRD, OUTSIDER = "44203", "44209"
ELSEWHERE = OFFER.replace("audio 20000 ", "audio 33333 ").replace("192.0.2.10", "192.0.2.33")


HOWS = ("the target", "the caller", "the target of a caller", "one of two callers")


def with_more_phones(**parameters: MediaParameters) -> Catalogue:
    dialect = CallerDialect(transfer_keys=KEYS)
    phones = [phone(number, account="office", dialect=dialect) for number in (DESK, MATE, THIRD)]
    return office(phones=[*phones, phone(OUTSIDER, account="acme", dialect=dialect)], **parameters)


@pytest.fixture(params=["runs on", "is replaced", "is killed", "is stopped"])
def scene(request, tmp_path):
    """Make a scene whose switch is interrupted by ``interrupt``."""
    is_kept = request.param in {"is killed", "is stopped"}
    scene = KilledScene(tmp_path, with_more_phones()) if is_kept else Scene(with_more_phones())
    scene.how = request.param
    yield scene
    if request.param != "is killed":
        assert_no_faults(scene)


@pytest.fixture
def running():
    scene = Scene(with_more_phones())
    yield scene
    assert_no_faults(scene)


def more_phones(scene: Scene) -> dict[str, VirtualPhone]:
    phones = {}
    for index, number in enumerate((THIRD, OUTSIDER)):
        phones[number] = scene.exchange.telephone(number, Endpoint("203.0.113.88", 40_000 + index))
        phones[number].register()
    return phones


def taken_by(scene: Scene, agent: UserAgent, side: Side, **intent) -> OutgoingCall:
    """Take a dialog over; return the newcomer."""
    pickup = agent.call(DESK, Intent(ELSEWHERE, headers=(f"Replaces: {side.replaces}",), **intent))
    scene.wire.run_for(2_000)
    return pickup


def are_in_touch(scene: Scene, one: Side, other: Side) -> bool:
    """Return whether two sides have each other's media, and hold of either is forwarded."""
    if not are_connected(one, other):
        return False
    for side, far in ((one, other), (other, one)):
        scene.propose(side, "a=sendonly")
        if "a=sendonly" not in far.theirs:
            return False
        scene.propose(side, "a=sendrecv")
    return are_connected(one, other)


def joined(scene: Scene, how: str) -> tuple[Side, Side, dict[str, VirtualPhone]]:
    """Join two calls; return the side that will be taken over, and the other one."""
    desk, mate = registered(scene)
    phones = more_phones(scene)
    if how == "the target":
        call, at_desk = called(scene, desk)
        blind(at_desk, MATE)
        scene.wire.run_for(3_000)
        sides: tuple[Side, Side] = (mate.calls[-1], call)
    elif how == "the caller":
        own = dialled(scene, mate, DESK)
        blind(desk.calls[-1], TARGET)
        scene.wire.run_for(3_000)
        sides = (own, scene.vendor.only_call)
    elif how == "the target of a caller":
        own = dialled(scene, desk, CALLEE)
        blind(own, MATE)
        scene.wire.run_for(3_000)
        sides = (mate.calls[-1], scene.vendor.only_call)
    else:  # the other one is a caller, too
        call, at_desk = called(scene, desk)
        own = dialled(scene, mate, DESK)
        attended(at_desk, desk.calls[-1])
        scene.wire.run_for(3_000)
        sides = (own, call)
    assert not any(each.is_over for each in sides)
    return *sides, phones


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("first", ["newcomer", "other"])
def test_another_phone_of_the_account_takes_a_side_over(scene, how, first):
    left, other, phones = joined(scene, how)
    pickup = taken_by(scene, phones[THIRD], left)
    assert (pickup.final, left.is_over, other.is_over) == (200, True, False)
    assert are_in_touch(scene, pickup, other)
    interrupt(scene)
    assert are_in_touch(scene, pickup, other)
    leaving, staying = (pickup, other) if first == "newcomer" else (other, pickup)
    leaving.hang_up()
    scene.wire.run_until(lambda: staying.is_over)
    scene.expect_nothing_left()
    records = scene.exchange.sink.records
    assert {record.end_reason for record in records} == {"Normal"}
    assert (len(records), len({record.ended_at for record in records})) == (2, 1)
    for record in records:
        assert scene.exchange.statement(record.customer_account) == -sum(
            each.fee + each.tax for each in records if each.customer_account == record.customer_account
        )


@pytest.mark.parametrize("how", ["the target", "the caller"])
def test_the_newcomer_transfers_the_other_side_once_more_and_is_replaced_itself(scene, how):
    left, other, phones = joined(scene, how)
    pickup = taken_by(scene, phones[THIRD], left)
    again = taken_by(scene, phones[THIRD], pickup)
    assert (again.final, pickup.is_over) == (200, True)
    interrupt(scene)
    blind(again, TARGET)
    scene.wire.run_for(3_000)
    target = scene.vendor.calls[-1]
    assert (again.is_over, other.is_over) == (True, False)
    assert are_in_touch(scene, other, target)
    scene.expect_nothing_left(other)
    assert target.is_over
    to_target = next(each for each in reversed(scene.exchange.sink.records) if each.callee_in == TARGET)
    assert (to_target.mapping_gateway, to_target.sip_call_id_in) == (THIRD, again.call_id) or how == "the caller"


@pytest.mark.parametrize("how", ["the target", "the caller", "one of two callers"])
@pytest.mark.parametrize("interrupted", ["is replaced", "is stopped"])
def test_a_restart_between_offer_and_answer_loses_nothing(tmp_path, how, interrupted):
    scene = KilledScene(tmp_path, with_more_phones()) if interrupted == "is stopped" else Scene(with_more_phones())
    left, other, phones = joined(scene, how)
    other.will("INVITE", Reply(200, after_ms=900))
    pickup = phones[THIRD].call(DESK, Intent(ELSEWHERE, headers=(f"Replaces: {left.replaces}",)))
    scene.wire.run_for(300)
    assert pickup.final is None
    scene.stop_and_keep() if interrupted == "is stopped" else replace_node(scene)
    scene.wire.run_for(3_000)
    assert (pickup.final, left.is_over, other.is_over) == (200, True, False)
    assert are_connected(pickup, other)
    scene.expect_nothing_left(other)
    assert pickup.is_over


@pytest.mark.parametrize("how", ["the target", "the caller", "one of two callers"])
@pytest.mark.parametrize(
    "ends", ["refused", "cancelled", "the other side hangs up", "the side that was there hangs up"]
)
def test_a_takeover_that_comes_to_no_end_changes_nothing(running, how, ends):
    left, other, phones = joined(running, how)
    other.will("INVITE", Reply(488) if ends == "refused" else Reply(200, after_ms=5_000))
    pickup = taken_by(running, phones[THIRD], left, cancel_after_ms=500 if ends == "cancelled" else None)
    if ends.endswith("hangs up"):
        running.hang_up(other if ends == "the other side hangs up" else left, wait_ms=10_000)
        assert (left.is_over, other.is_over, pickup.final) == (True, True, 487)
    else:
        running.wire.run_for(10_000)
        assert pickup.final == (488 if ends == "refused" else 487)
        assert are_in_touch(running, left, other)
        other.hang_up()
    running.expect_nothing_left()
    assert len(running.exchange.sink.records) == 2


def test_no_side_transfers_meanwhile(running):
    left, other, phones = joined(running, "one of two callers")
    other.will("INVITE", Reply(200, after_ms=5_000))
    pickup = taken_by(running, phones[THIRD], left)
    for side in (left, other):
        blind(side, TARGET)
    running.wire.run_for(1_000)
    assert (left.got["REFER"], other.got["REFER"]) == ([491], [491])
    running.wire.run_for(5_000)
    assert pickup.final == 200
    running.expect_nothing_left(other)


@pytest.mark.parametrize("how", ["the target", "the caller"])
def test_while_a_side_is_transferred_it_is_not_taken_over(running, how):
    left, other, phones = joined(running, how)
    phones[OUTSIDER].script = RINGS
    blind(left, OUTSIDER)
    running.wire.run_for(1_000)
    assert taken_by(running, phones[THIRD], left).final == 491
    assert (left.is_over, other.is_over) == (False, False)
    running.expect_nothing_left(other)


def test_each_side_is_of_its_own_account(running):
    left, other, phones = joined(running, "the target")
    assert taken_by(running, phones[OUTSIDER], left).final == 481
    assert taken_by(running, phones[THIRD], other).final == 481
    pickup = taken_by(running, phones[OUTSIDER], other)
    assert (pickup.final, other.is_over) == (200, True)
    assert are_in_touch(running, left, pickup)
    running.expect_nothing_left(left)
    assert pickup.is_over


def place(session: str) -> tuple[str, int]:
    """Return where a description wants its first medium."""
    medium = media_of(session.encode())[0]
    return medium.host, medium.port


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("refuses", [False, True])
def test_relayed_media_follow_the_newcomer_once_the_other_side_has_accepted(how, refuses):
    relay, media = VirtualRelay(), MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    scene = Scene(with_more_phones(media=media), relay=relay)
    left, other, phones = joined(scene, how)
    if refuses:
        other.will("INVITE", Reply(488))
    pickup = taken_by(scene, phones[THIRD], left)
    assert pickup.final == (488 if refuses else 200)
    one, two = left if refuses else pickup, other
    at_one, at_two = relay.at(place(one.theirs)[1]), relay.at(place(two.theirs)[1])
    assert len(relay.open_ports) == 2
    assert (at_one.other, at_two.other) == (at_two.port, at_one.port)
    assert (at_one.source.host, at_one.source.rtp) == place(one.mine)
    assert (at_two.source.host, at_two.source.rtp) == place(two.mine)
    scene.expect_nothing_left(other)
    assert relay.open_ports == {}
