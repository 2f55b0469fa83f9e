"""Calls that are recorded."""

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from zlib import crc32

import pytest
from doubles.data.builders import account, catalogue, mapping_gateway, phone
from doubles.desk_scene import DESK, MATE, TARGET, attended, called, dialled, office, registered
from doubles.keypad_scene import press
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.successor import replace_node
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import Line, Script, answers
from structlog.testing import capture_logs

from vosd.engine.media.recordings import CallRecordings
from vosd.sdp.media import media_of
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings


def scene_with(
    *,
    trunk=0,
    vendor=0,
    next_vendor: int | None = None,
    next_mode: MediaMode | None = None,
    of_account=0,
    of_vendor=0,
    mode: MediaMode = MediaMode.ON,
    make=Scene,
):
    relay = VirtualRelay()
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", media=MediaSettings(record=trunk)),
        vendor_gateway(0, media=MediaSettings(record=vendor)),
    ]
    if next_vendor is not None:
        trunks.append(vendor_gateway(1, media=MediaSettings(record=next_vendor)))
    if next_mode is not None:
        trunks.append(vendor_gateway(1, media=MediaSettings(mode=next_mode)))
    parameters = MediaParameters(engine=MediaEngine.RELAY, mode=mode)
    accounts = [account("acme", record=of_account), account("carriers", record=of_vendor, overdraft_limit=None)]
    scene = make(catalogue(trunks, media=parameters, accounts=accounts), relay=relay)
    scene.exchange.media.parts.recordings = CallRecordings(relay, Path("/recordings"))
    return scene, relay


def names(record, file: Path) -> bool:
    """Return whether a record names the file of a recording."""
    return json.loads(record.media)["recording"] == str(file.relative_to("/recordings"))


def scene_over_kills(directory: Path, **recorded):
    scene, relay = scene_with(**(recorded or {"trunk": 100}), make=partial(KilledScene, directory))
    make_media = scene.exchange.new_media

    def new_media(listeners):
        media = make_media(listeners)
        media.parts.recordings = CallRecordings(relay, Path("/recordings"))
        return media

    scene.exchange.new_media = new_media
    return scene, relay


@pytest.mark.parametrize("named", [{"trunk": 100}, {"vendor": 100}, {"of_account": 100}, {"of_vendor": 100}])
def test_a_call_is_recorded_once_where_its_account_or_a_trunk_wants_it(named):
    scene, relay = scene_with(**named)
    call, _ = scene.talk()
    scene.propose(call, "a=sendonly")
    record = scene.finish(call)
    day = datetime.fromtimestamp(record.started_at / 1_000, UTC).date().isoformat()
    assert relay.recordings == [Path(f"/recordings/{day}/{record.call_id}.pcap")]
    assert json.loads(record.media)["recording"] == f"{day}/{record.call_id}.pcap"


@pytest.mark.parametrize(("encrypts", "answers_so"), [(True, True), (True, False), (False, False)])
def test_a_recording_that_no_one_can_play_is_said_to_be_one(encrypts, answers_so):
    keys = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{40 * 'A'}\r\n"
    scene, relay = scene_with(trunk=100)
    with capture_logs() as lines:
        for _ in range(2):
            offer, answer = OFFER + keys * encrypts, ANSWER + keys * answers_so
            call, _ = scene.talk(Intent(offer=offer), answers(body=answer))
            scene.hang_up(call)
    scene.expect_nothing_left(within_ms=0)
    assert len(relay.recordings) == 2
    said = [each["routing_gateway"] for each in lines if each["event"] == "recording_encrypted"]
    assert said == ["vendor-0"] * answers_so


def test_a_call_whose_callee_makes_the_offer_is_recorded():
    scene, relay = scene_with(trunk=100)
    call, _ = scene.talk(Intent(offer=""))
    record = scene.finish(call)
    assert len(relay.recordings) == 1
    assert json.loads(record.media)["recording"]


def test_a_call_is_recorded_whose_callee_answers_before_the_prack_of_its_offer():
    """The caller's answer, in a PRACK, counted as the offer of a phone that takes the call over."""
    scene, relay = scene_with(trunk=100)
    lines = Line(0, 100), Line(0, 183, OFFER, is_reliable=True), Line(0, 200)
    call, _ = scene.talk(Intent(offer="", headers=SUPPORTS_100REL), Script(lines, awaits_pracks=False))
    assert [port.recording for port in relay.open_ports.values()] == relay.recordings * 2
    assert names(scene.finish(call), *relay.recordings)


@pytest.mark.parametrize("change", ["takeover", "transfer"])
def test_a_recording_goes_on_with_who_takes_the_place_of_one_side(change):
    scene, relay = scene_with(trunk=100)
    call, party = scene.talk()
    (file,) = relay.recordings
    if change == "takeover":
        scene.caller.call(CALLEE, Intent(headers=(f"Replaces: {call.replaces}",)))
    else:
        scene.vendor.script = answers(1_000, body=ANSWER.replace("192.0.2.20", "192.0.2.30"))
        call.ask("REFER", headers=["Refer-To: <sip:442071111111@192.0.2.1>"])
    scene.wire.run_for(5_000)
    assert call.is_over
    assert not party.is_over
    assert [port.recording for port in relay.open_ports.values()] == [file, file]
    scene.hang_up(party, wait_ms=40_000)
    assert relay.open_ports == {}


def office_with(desk: int) -> tuple[Scene, VirtualRelay]:
    """Return a customer, and an office of whose first telephone so many calls are recorded."""
    relay, media = VirtualRelay(), MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    scene = Scene(office(media=media, desk={"media": MediaSettings(record=desk)}), relay=relay)
    scene.exchange.media.parts.recordings = CallRecordings(relay, Path("/recordings"))
    return scene, relay


@pytest.mark.parametrize(("accepts", "has_offer"), [(True, True), (True, False), (False, True)])
def test_a_recording_goes_on_with_a_phone_that_takes_over_the_called_side(accepts, has_offer):
    """It had the caller alone from then on, and ended with the next offer: that phone itself is not recorded."""
    scene, relay = office_with(100)
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    (file,) = relay.recordings
    call.will("INVITE", Reply(200 if accepts else 488))
    intent = Intent(headers=(f"Replaces: {at_desk.replaces}",))
    newcomer = mate.call(DESK, intent if has_offer else intent._replace(offer=""))
    scene.wire.run_for(1_000)
    assert (newcomer.is_over, at_desk.is_over) == (not accepts, accepts)
    assert [port.recording for port in relay.open_ports.values()] == [file, file]
    scene.propose(call, "a=sendonly")
    assert [port.recording for port in relay.open_ports.values()] == [file, file]
    assert names(scene.finish(call), file)


def test_a_recording_goes_on_where_the_called_side_connects_two_callers():
    scene, relay = office_with(100)
    desk, _ = registered(scene)
    (call, at_desk), (other, also_at_desk) = called(scene, desk), called(scene, desk)
    first, _ = relay.recordings
    attended(at_desk, also_at_desk)
    scene.wire.run_for(3_000)
    assert (call.is_over, other.is_over, at_desk.is_over, also_at_desk.is_over) == (False, False, True, True)
    assert [port.recording for port in relay.open_ports.values()] == [first, first]
    scene.expect_nothing_left(call)


@pytest.mark.parametrize("side", ["called", "calling"])
@pytest.mark.parametrize("accepts", [True, False])
def test_a_call_is_recorded_for_a_phone_that_takes_a_side_over_as_soon_as_it_is_accepted(accepts, side):
    """On the called side it was from the next offer on, on the calling side although the newcomer was refused."""
    relay, media = VirtualRelay(), MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    of_mate = phone(MATE, account="office", media=MediaSettings(record=100))
    scene = Scene(office(media=media, phones=(phone(DESK, account="office"), of_mate)), relay=relay)
    scene.exchange.media.parts.recordings = CallRecordings(relay, Path("/recordings"))
    desk, mate = registered(scene)
    if side == "called":
        other, replaced = called(scene, desk)
    else:
        replaced = dialled(scene, desk, CALLEE)
        (other,) = scene.vendor.calls
    other.will("INVITE", Reply(200 if accepts else 488))
    newcomer = mate.call(DESK, Intent(headers=(f"Replaces: {replaced.replaces}",)))
    scene.wire.run_for(1_000)
    assert (newcomer.is_over, replaced.is_over) == (not accepts, accepts)
    assert [port.recording for port in relay.open_ports.values()] == (relay.recordings if accepts else [None]) * 2
    record = scene.finish(other)
    assert json.loads(record.media)["recording"] is None if not accepts else names(record, relay.recordings[0])


def test_nothing_of_a_call_is_recorded_behind_a_recorded_consultation_of_one_side():
    """The words of its other side went on into the file of the target."""
    relay, media = VirtualRelay(), MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    accounts = [account("office", overdraft_limit=None), account("carriers", record=100, overdraft_limit=None)]
    scene = Scene(office(media=media, accounts=accounts), relay=relay)
    scene.exchange.media.parts.recordings = CallRecordings(relay, Path("/recordings"))
    desk, _ = registered(scene)
    call, at_desk = called(scene, desk)
    press(scene, at_desk, f"*2{TARGET}#")
    scene.wire.run_for(4_000)
    (target,) = scene.vendor.calls
    assert [port.recording for port in relay.open_ports.values()].count(None) == 1
    target.hang_up()
    scene.wire.run_for(2_000)
    assert [port.recording for port in relay.open_ports.values()] == [None, None]
    scene.expect_nothing_left(call)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_two_recorded_calls_that_a_transfer_joins_go_on_in_the_file_of_the_earlier_one(is_restarted):
    """Whichever side offers something then: a talk in parts of two files is of no use."""
    scene, relay = scene_with(trunk=100)
    calls = [scene.answered_call(callee=f"{CALLEE[:-1]}{number}", talk_ms=1_000) for number in range(2)]
    first, second = relay.recordings
    attended(*calls)
    scene.wire.run_for(3_000)
    if is_restarted:
        replace_node(scene)
        scene.exchange.media.parts.recordings = CallRecordings(relay, Path("/recordings"))
    party, target = scene.vendor.calls
    for side in (party, target, party):
        scene.propose(side)
        assert [port.recording for port in relay.open_ports.values()] == [first, first]
    assert relay.recordings == [first, second, first]
    scene.expect_nothing_left(party)


@pytest.mark.parametrize("named", [{}, {"trunk": 100, "mode": MediaMode.OFF}])
def test_no_other_call_is(named):
    scene, relay = scene_with(**named)
    call, _ = scene.talk()
    record = scene.finish(call)
    assert relay.recordings == []
    assert record.media is None or json.loads(record.media)["recording"] is None


@pytest.mark.parametrize("is_wanted", [False, True])
def test_what_a_vendor_wants_recorded_ends_with_its_attempt(is_wanted):
    scene, relay = scene_with(vendor=100, next_vendor=100 * is_wanted)
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(500, 503)))
    call, _ = scene.talk()
    recorded = [each.recording for each in relay.open_ports.values()]
    record = scene.finish(call)
    assert [(row.gateway, row.code) for row in record.attempts] == [("vendor-0", 503), ("vendor-1", 200)]
    assert recorded == (relay.recordings[:1] * 2 if is_wanted else [None, None])
    assert names(record, relay.recordings[0])


def test_early_media_of_attempts_are_in_one_file_over_midnight():
    scene, relay = scene_with(vendor=100, next_vendor=100)
    scene.wire.run_for(86_400_000 - scene.exchange.clock.now().wall % 86_400_000 - 300)
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(500, 503)))
    call, _ = scene.talk()
    record = scene.finish(call)
    assert len(set(relay.recordings)) == 1
    assert names(record, relay.recordings[0])


def test_early_media_of_a_call_that_is_not_answered_are_in_a_file_that_its_record_names():
    scene, relay = scene_with(vendor=100)
    call = scene.begun_call(script=Script((Line(0, 183, ANSWER), Line(500, 503))))
    scene.wire.run_until(lambda: call.final == 503)
    record = scene.close()
    assert names(record, relay.recordings[0])
    assert json.loads(record.media)["legs"] == {"caller": None, "callee": None}


def test_early_media_before_a_vendor_that_is_not_relayed_are_in_a_file_that_the_record_names():
    scene, relay = scene_with(vendor=100, next_mode=MediaMode.OFF)
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(500, 503)))
    call, _ = scene.talk()
    assert relay.open_ports == {}
    assert names(scene.finish(call), relay.recordings[0])


def test_early_media_are_named_by_the_record_of_a_call_that_a_kill_has_found_answered(tmp_path):
    scene, relay = scene_over_kills(tmp_path, vendor=100, next_vendor=0)
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(500, 503)))
    call, _ = scene.talk()
    scene.kill(then_ms=1_500)
    assert names(scene.finish(call), relay.recordings[0])


def test_a_share_of_calls_is_recorded():
    scene, relay = scene_with(trunk=50)
    for _ in range(12):
        call = scene.answered_call()
        scene.hang_up(call, wait_ms=40_000)
    ids = [record.call_id for record in scene.exchange.sink.records]
    wanted = [each for each in ids if crc32(each.encode()) % 100 < 50]
    assert [path.stem for path in relay.recordings] == wanted
    assert 0 < len(wanted) < 12


def test_a_recording_that_could_not_begin_is_named_nowhere():
    scene, relay = scene_with(trunk=100)
    call, there = scene.talk()
    relay.recording_failed(relay.at(media_of(there.theirs.encode())[0].port).port.id)
    record = scene.finish(call)
    assert json.loads(record.media)["recording"] is None


@pytest.mark.parametrize("are_workers_gone", [False, True])
def test_a_recording_that_could_not_begin_after_a_kill_is_named_nowhere(tmp_path, are_workers_gone):
    scene, relay = scene_over_kills(tmp_path)
    call, there = scene.talk()
    port = relay.at(media_of(there.theirs.encode())[0].port).port.id
    if are_workers_gone:
        relay.open_ports.clear()
    scene.kill(then_ms=1_500)
    relay.recording_failed(port)
    assert json.loads(scene.finish(call).media)["recording"] is None


def test_a_recording_goes_on_where_the_switch_and_its_workers_were_killed(tmp_path):
    scene, relay = scene_over_kills(tmp_path)
    call, _ = scene.talk()
    scene.kill(1_000)
    relay.open_ports.clear()
    scene.wire.run_for(1_500)
    assert len(set(relay.recordings)) == 1
    assert len(relay.recordings) > 1
    record = scene.finish(call)
    assert json.loads(record.media)["recording"] == str(relay.recordings[0].relative_to("/recordings"))


class Failing(CallRecordings):
    """Recordings of which each call to their end fails."""

    def leg_over(self, _leg, _media):
        raise ValueError("no recording")


def test_an_error_at_the_end_of_a_leg_keeps_no_port_open():
    scene, relay = scene_with(trunk=100)
    scene.exchange.media.parts.recordings = Failing(relay, Path("/recordings"))
    call, _ = scene.talk()
    with capture_logs():
        scene.hang_up(call, wait_ms=70_000)
    assert scene.exchange.media.counted() == (0, 0)
    (record,) = scene.exchange.sink.records
    assert record.answered_at is not None


def test_a_call_is_booked_whose_media_cannot_be_reported(monkeypatch):
    scene, _ = scene_with()

    def fails(_call):
        raise ValueError("no figures")

    monkeypatch.setattr(scene.exchange.media.calls, "report", fails)
    call, _ = scene.talk()
    with capture_logs() as lines:
        record = scene.finish(call)
    assert (record.end_reason, record.media) == ("Normal", None)
    assert record.postings
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["end_of_call_not_reported"]
