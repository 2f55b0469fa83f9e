"""INVITE with Replaces (RFC 3891): another phone of the same customer takes over a running call."""

import re

import pytest
from doubles.data.builders import account, catalogue, credentials, mapping_gateway, override, phone
from doubles.data.sessions import revised
from doubles.doorkeeper import ScriptedDoorkeeper, Treatment
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OFFER
from doubles.successor import replace_node
from doubles.virtual.customer import SUPPORTS_100REL, Intent, OutgoingCall
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.side import Reply, Side
from doubles.virtual.vendor import RINGS, IncomingCall, Line, Script, answers, answers_timed

from vosd.base.session_timer import SessionTimerSettings
from vosd.catalogue.overrides import Target
from vosd.routing.special_numbers import SpecialNumbers
from vosd.trunks.dialect import CalleeDialect, CallerDialect, IdentityHeader, Passing, TransferDisplay, Transfers
from vosd.trunks.dids import Did
from vosd.trunks.groups import GatewayGroup
from vosd.trunks.media import Encryption, MediaEngine, MediaMode, MediaParameters, MediaSettings
from vosd.trunks.number_rules import IncomingNumbers
from vosd.trunks.scope import LimitScope

CALLER = "442079990001"


def talking(scene: Scene) -> OutgoingCall:
    call, _ = scene.talk()
    return call


def media_of(session: str) -> str:
    return session.partition("\r\nt=")[2]


def kinds_of(session: str) -> list[str]:
    return re.findall(r"m=(\w+)", session)


def test_another_phone_takes_the_call_over(scene):
    """RFC 3891: an INVITE with Replaces takes the caller's place; the call and its CDR stay one."""
    call = talking(scene)
    pickup = scene.settled_call(Intent(headers=(f"Replaces: {call.replaces}",)))
    scene.wire.run_for(1_000)
    assert pickup.final == 200
    assert call.is_over
    (party,) = scene.vendor.calls
    (moved,) = party.asked["INVITE"]
    assert media_of(moved.body) == pickup.mine.partition("\r\nt=")[2]
    pickup.hang_up()
    scene.wire.run_until(lambda: party.is_over)
    scene.expect_nothing_left()
    assert scene.record.end_reason == "Normal"


def with_video(session: str, video: str, *, is_first: bool) -> str:
    return session.replace("m=audio", f"{video}m=audio") if is_first else session + video


@pytest.mark.parametrize("engine", [None, MediaEngine.RELAY])
@pytest.mark.parametrize("is_first", [False, True], ids=["behind the audio", "before the audio"])
def test_a_phone_without_video_takes_a_call_with_video_over(is_first, engine):
    """RFC 3264 sections 6 and 8: the far side has as many ``m=`` lines as before, and the newcomer those of its offer.

    Each keeps them where the other one holds: a browser refuses a description whose media have changed places.
    """
    scene = Scene()
    if engine is not None:
        scene = Scene(usual_catalogue(media=MediaParameters(engine=engine, mode=MediaMode.ON)), relay=VirtualRelay())
    video = "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    offer, answer = (with_video(each, video, is_first=is_first) for each in (OFFER, ANSWER))
    call, party = scene.talk(Intent(offer=offer), answers(500, body=answer.replace("4002", "6002")))
    pickup = scene.begun_call(Intent(headers=(f"Replaces: {call.replaces}",)), after_ms=1_000)
    kinds = ["video", "audio"] if is_first else ["audio", "video"]
    assert (pickup.final, call.is_over, party.is_over) == (200, True, False)
    assert (kinds_of(party.theirs), kinds_of(pickup.theirs)) == (kinds, ["audio"])
    assert "m=video 0 " in party.theirs
    scene.propose(pickup, "a=sendonly")
    assert (kinds_of(party.theirs), kinds_of(pickup.theirs)) == (kinds, ["audio"])
    scene.propose(party, "a=sendrecv")
    assert (pickup.got["INVITE"], party.got["INVITE"]) == ([200], [200])
    assert (kinds_of(party.theirs), kinds_of(pickup.theirs)) == (kinds, ["audio"])
    assert "m=audio 0 " not in party.theirs + pickup.theirs
    scene.expect_nothing_left(pickup)


@pytest.mark.parametrize(
    ("extra", "status"), [(";early-only", 486), ("x", 481)], ids=["confirmed, early wanted", "wrong tag"]
)
def test_a_dialog_that_may_not_be_replaced_is_not_changed(scene, extra, status):
    call = talking(scene)
    pickup = scene.settled_call(Intent(headers=(f"Replaces: {call.replaces}{extra}",)))
    assert pickup.final == status
    assert not call.is_over
    scene.expect_nothing_left(call)


def test_an_invite_replaces_one_dialog_only(scene):
    """RFC 3891 section 3: 400 where it names two."""
    call = talking(scene)
    named = f"Replaces: {call.replaces}"
    pickup = scene.settled_call(Intent(headers=(named, named)))
    assert pickup.final == 400
    assert not call.is_over
    scene.expect_nothing_left(call)


def test_a_takeover_that_the_other_side_refuses_changes_nothing(scene):
    call = talking(scene)
    scene.vendor.only_call.will("INVITE", Reply(488))
    pickup = scene.settled_call(Intent(headers=(f"Replaces: {call.replaces}",)))
    assert pickup.final == 488
    assert not call.is_over
    scene.expect_nothing_left(call)


ELSEWHERE = OFFER.replace("audio 20000 ", "audio 44444 ")


@pytest.mark.parametrize(
    ("reply", "cancel_after_ms", "final"), [(Reply(488), None, 488), (Reply(200, after_ms=900), 200, 487)]
)
@pytest.mark.parametrize("refreshes", ["vendor", "switch"])
def test_a_takeover_that_is_refused_or_cancelled_leaves_the_media_where_they_are(
    reply, cancel_after_ms, final, refreshes
):
    """The next refresh of the other side's session has the description of the caller, who is still in the call."""
    timer = SessionTimerSettings(ttl_s=120)
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(session_timer=timer))
    scene = Scene(catalogue([trunk, vendor_gateway(0, dialect=CalleeDialect(session_timer=timer))]))
    call, party = scene.talk(script=answers_timed("120;refresher=uac", knows_update=False))
    party.minds_origins = False  # the version of a refused offer may come again
    party.will("INVITE", reply)
    headers = (f"Replaces: {call.replaces}",)
    pickup = scene.begun_call(Intent(ELSEWHERE, cancel_after_ms=cancel_after_ms, headers=headers), after_ms=2_000)
    assert pickup.final == final
    assert "44444" in party.asked["INVITE"][-1].body
    if refreshes == "vendor":
        party.ask("INVITE", body=party.mine)
    scene.wire.run_for(2_000 if refreshes == "vendor" else 70_000)
    assert media_of(party.theirs) == media_of(call.mine)
    assert len(party.asked["INVITE"]) == 1 + (refreshes == "switch")
    scene.expect_nothing_left(call)


# -- phones of one account ----------------------------------------------------------------------------------------

TARGET = "442071111111"
FIRST, SECOND, THIRD, OUTSIDER = "44201", "44202", "44203", "44209"
PICKED_UP = OFFER.replace("audio 20000 ", "audio 33333 ").replace("192.0.2.10", "192.0.2.33")


RICH = [account(name, overdraft_limit=None) for name in ("acme", "big", "other", "carriers")]


class Office:
    """Phones of ``acme``, one of another account, and a caller of a third one."""

    def __init__(self, doorkeeper=None, second=None, **parameters) -> None:
        """``second`` are terms of the second phone."""
        self.known = known = [mapping_gateway("pbx", f"{CUSTOMER.host}/32", account="big"), vendor_gateway(0)]
        phones = [phone(FIRST), phone(SECOND, **(second or {})), phone(THIRD), phone(OUTSIDER, account="other")]
        self.scene = Scene(catalogue(known, phones=phones, accounts=RICH, **parameters), doorkeeper=doorkeeper)
        place = self.scene.exchange.telephone
        self.phones = {
            number: place(number, Endpoint("203.0.113.60", 40_000 + index))
            for index, number in enumerate((FIRST, SECOND, THIRD, OUTSIDER))
        }
        for each in self.phones.values():
            each.register()

    def picked_up(self, by: str, side: Side, extra: str = "", **intent) -> OutgoingCall:
        """Take a dialog over from a phone of this side."""
        headers = (f"Replaces: {side.replaces}{extra}",)
        pickup = self.phones[by].call(FIRST, Intent(intent.pop("offer", PICKED_UP), headers=headers, **intent))
        self.scene.wire.run_until(lambda: pickup.final is not None)
        self.scene.wire.run_for(1_000)
        return pickup

    def called(self) -> tuple[OutgoingCall, IncomingCall]:
        """Call the first phone; return both sides."""
        call = self.scene.settled_call(callee=FIRST)
        self.scene.wire.run_for(1_000)
        return call, self.phones[FIRST].only_call


@pytest.fixture
def office() -> Office:
    return Office()


def test_another_phone_of_the_account_takes_a_call_over_from_the_phone_that_made_it(office):
    scene = office.scene
    call = office.phones[FIRST].call(CALLEE)
    scene.await_answer(call, talk_ms=1_000)
    pickup = office.picked_up(SECOND, call)
    assert (pickup.final, call.is_over) == (200, True)
    party = scene.vendor.only_call
    assert (media_of(party.theirs), media_of(pickup.theirs)) == (media_of(pickup.mine), media_of(party.mine))
    pickup.hang_up()
    scene.wire.run_until(lambda: party.is_over)
    scene.expect_nothing_left()
    assert (scene.record.mapping_gateway, scene.record.end_reason) == (FIRST, "Normal")


@pytest.mark.parametrize("first", ["newcomer", "caller"])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_another_phone_of_the_account_takes_a_call_over_from_the_phone_that_was_called(office, first, is_restarted):
    """RFC 3891 section 3, for either side; the caller is asked to talk to the new place."""
    scene = office.scene
    call, there = office.called()
    pickup = office.picked_up(SECOND, there)
    assert (pickup.final, there.is_over, call.is_over) == (200, True, False)
    assert (media_of(call.theirs), media_of(pickup.theirs)) == (media_of(PICKED_UP), media_of(call.mine))
    if is_restarted:
        replace_node(scene)
    for side, other in ((call, pickup), (pickup, call)):
        scene.propose(side, "a=sendonly")
        assert side.got["INVITE"][-1] == 200
        assert media_of(other.theirs) == media_of(side.mine)
    third = office.picked_up(THIRD, pickup)
    assert (third.final, pickup.is_over) == (200, True)
    leaving, left = (third, call) if first == "newcomer" else (call, third)
    leaving.hang_up()
    scene.wire.run_until(lambda: left.is_over)
    scene.expect_nothing_left()
    record = scene.record
    assert (record.mapping_gateway, record.routing_gateway, record.end_reason) == ("pbx", FIRST, "Normal")
    assert record.hangup_source == ("callee" if first == "newcomer" else "caller")


def taken_over(office: Office, **terms) -> OutgoingCall:
    """Let the second phone, which has these terms, take a call over that the first one has made."""
    scene = office.scene
    phones = [phone(FIRST), phone(SECOND, **terms), phone(THIRD), phone(OUTSIDER, account="other")]
    scene.exchange.swap_catalogue(catalogue(office.known, phones=phones, accounts=RICH))
    return office.picked_up(SECOND, talks(office, FIRST, CALLEE))


@pytest.mark.parametrize("rings", [False, True])
def test_a_phone_whose_number_is_dropped_names_itself_to_no_one_whose_call_it_takes_over(office, rings):
    terms = {"numbers": IncomingNumbers(caller_drop=True)}
    named = PICKED_UP.replace("o=- ", "o=anne ").replace("s=-\r\n", "s=Anne\r\n")
    phones = [phone(FIRST), phone(SECOND, **terms), phone(THIRD), phone(OUTSIDER, account="other")]
    office.scene.exchange.swap_catalogue(catalogue(office.known, phones=phones, accounts=RICH))
    far, replaced = ringing(office) if rings else office.called()
    pickup = office.picked_up(SECOND, replaced, offer=named)
    assert (pickup.final, media_of(far.theirs)) == (200, media_of(named))
    assert "nne" not in far.theirs
    pickup.mine = revised(pickup.mine, "a=sendonly")
    office.scene.propose(pickup)
    assert "nne" in pickup.mine
    assert "nne" not in far.theirs
    far.hang_up()
    office.scene.wire.run_until(lambda: pickup.is_over)
    office.scene.expect_nothing_left()


def talks(office: Office, by: str, number: str) -> OutgoingCall:
    call = office.phones[by].call(number)
    office.scene.wire.run_until(lambda: call.final == 200)
    office.scene.wire.run_for(1_000)
    return call


def refer(office: Office, by: Side, onto: Side | None = None) -> int:
    """Transfer a call to the target, or onto another call; return the status of the REFER."""
    replaces = ""
    if onto is not None:
        replaces = f"?Replaces={onto.replaces_in_uri}"
    by.ask("REFER", headers=(f"Refer-To: <sip:{TARGET}@192.0.2.1{replaces}>",))
    office.scene.wire.run_for(2_000)
    return by.got["REFER"][-1]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_phone_that_has_taken_a_call_over_transfers_it_in_its_own_name(office, is_restarted):
    scene = office.scene
    pickup = taken_over(office, dialect=CallerDialect(transfer_display=TransferDisplay.PHONE))
    if is_restarted:
        replace_node(scene)
    assert refer(office, pickup) == 202
    first, second = scene.vendor.calls
    assert (pickup.is_over, second.invite["From"].startswith(f"<sip:{SECOND}@")) == (True, True)
    second.hang_up()
    scene.wire.run_until(lambda: first.is_over)
    scene.expect_nothing_left()
    records = {record.callee_in: record for record in scene.exchange.sink.records}
    assert (records[CALLEE].mapping_gateway, records[TARGET].mapping_gateway) == (FIRST, SECOND)
    assert records[TARGET].source_address == "203.0.113.60:40001"
    assert records[TARGET].sip_call_id_in == pickup.call_id


def test_a_phone_that_has_taken_a_call_over_transfers_it_to_no_number_that_it_may_not_dial(office):
    pickup = taken_over(office, numbers=IncomingNumbers(callee_allow=(FIRST,)))
    assert refer(office, pickup) == 403
    office.scene.expect_nothing_left(pickup)
    assert [(record.mapping_gateway, record.end_reason) for record in office.scene.exchange.sink.records] == [
        (SECOND, "Number Not Allowed"), (FIRST, "Normal"),
    ]  # fmt: skip


@pytest.mark.parametrize(("by", "status"), [(SECOND, 202), (FIRST, 603)])
def test_a_call_that_was_taken_over_is_transferred_onto_a_call_of_the_phone_that_has_it(office, by, status):
    pickup = taken_over(office)
    other = talks(office, by, TARGET)
    assert refer(office, pickup, onto=other) == status
    assert (pickup.is_over, other.is_over) == (status == 202, status == 202)
    for each in office.scene.vendor.calls:
        each.hang_up()
    office.scene.expect_nothing_left()


@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("is_answered", [True, False])
def test_a_restart_leaves_a_newcomer_its_own_sip_settings(office, side, is_answered):
    scene = office.scene
    dialect = CallerDialect(transfers=Transfers.REFUSE, user_agent="Desk/2")
    phones = [phone(FIRST), phone(SECOND, dialect=dialect), phone(THIRD), phone(OUTSIDER, account="other")]
    scene.exchange.swap_catalogue(catalogue(office.known, phones=phones, accounts=RICH))
    if side == "caller":
        left = talks(office, FIRST, CALLEE)
        other = scene.vendor.only_call
    else:
        other, left = office.called()
    if not is_answered:
        other.will("INVITE", Reply(200, after_ms=700))
    pickup = office.phones[SECOND].call(FIRST, Intent(PICKED_UP, headers=(f"Replaces: {left.replaces}",)))
    scene.wire.run_for(300)
    assert (pickup.final == 200) is is_answered
    replace_node(scene)
    scene.wire.run_for(2_000)
    assert (pickup.final, left.is_over) == (200, True)
    scene.propose(other, "a=sendonly")
    assert pickup.asked["INVITE"][-1]["User-Agent"] == "Desk/2"
    assert refer(office, pickup) == 403
    other.hang_up()
    scene.wire.run_until(lambda: pickup.is_over)
    scene.expect_nothing_left()


def test_a_trunk_that_has_taken_a_call_over_transfers_it_in_its_own_name():
    """It is known by the address that its INVITE came from."""
    branch = Endpoint("198.51.100.77", 5_060)
    trunks = [mapping_gateway(name, f"{at.host}/32", account="acme") for name, at in (("hq", CUSTOMER), ("br", branch))]
    scene = Scene(catalogue([*trunks, vendor_gateway(0)], accounts=RICH))
    call = talking(scene)
    pickup = scene.exchange.caller(branch).call(CALLEE, Intent(headers=(f"Replaces: {call.replaces}",)))
    scene.wire.run_for(2_000)
    pickup.ask("REFER", headers=(f"Refer-To: <sip:{TARGET}@192.0.2.1>",))
    scene.wire.run_for(2_000)
    assert pickup.got["REFER"] == [202]
    scene.expect_nothing_left(scene.vendor.calls[1])
    assert {record.mapping_gateway: record.callee_in for record in scene.exchange.sink.records} == {
        "hq": CALLEE,
        "br": TARGET,
    }


@pytest.mark.parametrize("privacy", ["id", "anonymous"])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_number_that_was_withheld_stays_so_where_the_one_that_took_the_call_over_transfers_it(privacy, is_restarted):
    dialect = CalleeDialect(identity=(IdentityHeader.ASSERTED,))
    trunk = mapping_gateway("pbx", f"{CUSTOMER.host}/32", account="acme")
    scene = Scene(catalogue([trunk, vendor_gateway(0, dialect=dialect)], accounts=RICH))
    asserted = f"P-Asserted-Identity: <sip:{CALLER}@192.0.2.10>"
    of_id, of_from = Intent(headers=("Privacy: id", asserted)), Intent(headers=(asserted,), caller="anonymous")
    call = scene.answered_call(of_id if privacy == "id" else of_from, talk_ms=1_000)
    pickup = scene.answered_call(Intent(headers=(f"Replaces: {call.replaces}",)), talk_ms=1_000)
    if is_restarted:
        replace_node(scene)
    pickup.ask("REFER", headers=(f"Refer-To: <sip:{TARGET}@192.0.2.1>",))
    scene.wire.run_for(2_000)
    second = scene.vendor.calls[1].invite
    assert CALLER not in second["From"]
    assert second.every("Privacy") == ["id"]
    scene.expect_nothing_left(scene.vendor.calls[1])


def test_a_phone_that_has_taken_a_call_over_names_no_diversion_by_a_number_of_others(office):
    scene = office.scene
    known = [vendor_gateway(0, dialect=CalleeDialect(diversion=Passing.PASS, history_info=Passing.PASS))]
    known += [each for each in office.known if each.name != "vendor-0"]
    phones = [phone(FIRST), phone(SECOND), phone(THIRD), phone(OUTSIDER, account="other")]
    scene.exchange.swap_catalogue(catalogue(known, phones=phones, accounts=RICH))
    by = "<sip:442070009999@192.0.2.1>"
    call = talks(office, FIRST, CALLEE)
    diverted = (f"Diversion: {by};reason=unconditional", f"History-Info: {by};index=1")
    pickup = office.phones[SECOND].call(FIRST, Intent(PICKED_UP, headers=(f"Replaces: {call.replaces}", *diverted)))
    scene.await_answer(pickup, talk_ms=1_000)
    assert refer(office, pickup) == 202
    _, second = scene.vendor.calls
    assert [second.invite.every(name) for name in ("Diversion", "History-Info")] == [[], []]
    scene.expect_nothing_left(second)


@pytest.mark.parametrize("rings", [True, False])
@pytest.mark.parametrize("blocked", [(Target.MAPPING, SECOND), (Target.ACCOUNT, "acme")], ids=["itself", "its account"])
def test_a_phone_that_is_blocked_takes_no_call_over(office, rings, blocked):
    scene = office.scene
    call, there = ringing(office) if rings else office.called()
    scene.exchange.override(override(*blocked))
    assert office.picked_up(SECOND, there).final == 481
    assert not call.is_over
    call.cancel() if rings else call.hang_up()
    scene.wire.run_until(lambda: call.is_over)
    scene.expect_nothing_left()


@pytest.mark.parametrize(("is_emergency", "prefix"), [(False, ""), (True, ""), (True, "99")])
@pytest.mark.parametrize(
    ("of_account", "reason"),
    [({"countries": frozenset({"DE"})}, "Geofence Blocked"), ({"user_agents": ("yealink",)}, "User Agent Not Allowed")],
)
def test_a_phone_takes_a_call_over_from_no_place_and_with_no_agent_that_it_may_not_call_from(
    of_account, reason, is_emergency, prefix
):
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32", tech_prefix=prefix), vendor_gateway(0)]
    far = mapping_gateway("far", "198.51.100.77/32", account="acme")
    accounts = [account("acme", overdraft_limit=None, **of_account)]
    special = SpecialNumbers(emergency=frozenset({CALLEE} if is_emergency else ()))
    content = catalogue([*trunks, far], accounts=accounts, special_numbers=special)
    scene = Scene(content, country_of=lambda host: "DE" if host == CUSTOMER.host else "US")
    call = scene.answered_call(Intent(headers=("User-Agent: Yealink",)), callee=prefix + CALLEE, talk_ms=500)
    pickup = scene.exchange.caller(Endpoint("198.51.100.77", 5_060)).call(
        CALLEE, Intent(headers=(f"Replaces: {call.replaces}",))
    )
    scene.wire.run_until(lambda: pickup.final is not None)
    scene.wire.run_for(1_000)
    assert (pickup.final, call.is_over) == ((200, True) if is_emergency else (403, False))
    refused = [] if is_emergency else [(reason, "far", CALLEE)]
    records = scene.exchange.sink.records
    assert [(each.end_reason, each.mapping_gateway, each.callee_in) for each in records] == refused
    (pickup if is_emergency else call).hang_up()
    scene.expect_nothing_left()


@pytest.mark.parametrize("replaces", ["caller", "callee"])
def test_a_call_is_not_transferred_while_another_phone_takes_it_over(office, replaces):
    scene = office.scene
    phones = office.phones
    call = phones[FIRST].call(CALLEE if replaces == "caller" else THIRD)
    scene.await_answer(call, talk_ms=500)
    there = scene.vendor.only_call if replaces == "caller" else phones[THIRD].only_call
    left, asked = (call, there) if replaces == "caller" else (there, call)
    asked.will("INVITE", Reply(200, after_ms=900))
    pickup = phones[SECOND].call(FIRST, Intent(PICKED_UP, headers=(f"Replaces: {left.replaces}",)))
    scene.wire.run_for(300)
    call.ask("REFER", headers=(f"Refer-To: <sip:{TARGET}@192.0.2.1>",))
    scene.wire.run_for(2_000)
    assert (call.got["REFER"], pickup.final, left.is_over) == ([491], 200, True)
    referring = pickup if replaces == "caller" else call
    referring.ask("REFER", headers=(f"Refer-To: <sip:{TARGET}@192.0.2.1>",))
    scene.wire.run_for(2_000)
    assert referring.got["REFER"][-1] == 202
    scene.expect_nothing_left(scene.vendor.calls[-1])


def test_a_new_callee_that_never_acknowledges_ends_the_call(office):
    scene = office.scene
    call, there = office.called()
    pickup = office.picked_up(SECOND, there, acknowledges=False)
    replace_node(scene)
    assert (pickup.final, there.is_over) == (200, True)
    scene.wire.run_until(lambda: call.is_over, within_ms=60_000)
    assert scene.record.end_reason == "No ACK"
    pickup.acknowledge()
    scene.wire.run_for(60_000)


def test_the_bye_to_a_new_callee_waits_behind_its_200_at_the_door():
    keeper = ScriptedDoorkeeper({})
    office = Office(doorkeeper=keeper)
    scene, keeper.exchange = office.scene, office.scene.exchange
    call, there = office.called()
    keeper.treatments = {"200 INVITE": Treatment(2_000, longest_ms=3_000)}
    pickup = office.phones[SECOND].call(FIRST, Intent(PICKED_UP, headers=(f"Replaces: {there.replaces}",)))
    scene.wire.run_for(1_000)
    assert (pickup.final, there.is_over) == (None, True)
    scene.hang_up(call, wait_ms=5_000)
    assert (pickup.final, pickup.is_over) == (200, True)
    scene.expect_nothing_left()


def test_a_restart_between_offer_and_answer_of_a_pickup_loses_nothing(office):
    scene = office.scene
    call, there = office.called()
    call.will("INVITE", Reply(200, after_ms=700))
    headers = (f"Replaces: {there.replaces}",)
    pickup = office.phones[SECOND].call(FIRST, Intent(PICKED_UP, headers=headers))
    scene.wire.run_for(300)
    replace_node(scene)
    scene.wire.run_for(1_000)
    assert (pickup.final, there.is_over, call.is_over) == (200, True, False)
    call.hang_up()
    scene.wire.run_until(lambda: pickup.is_over)
    scene.expect_nothing_left()


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_a_phone_of_another_account_takes_no_call_over(office, side):
    scene = office.scene
    call, there = office.called()
    pickup = office.picked_up(OUTSIDER, call if side == "caller" else there)
    assert pickup.final == 481
    pickup = office.picked_up(SECOND, call)
    assert pickup.final == 481, "the caller is of another account than the phones"
    assert not call.is_over
    scene.expect_nothing_left(call)


# -- a call that rings --------------------------------------------------------------------------------------------


def ringing(office: Office, script=RINGS, **intent) -> tuple[OutgoingCall, IncomingCall]:
    """Let the first phone ring; return both sides."""
    office.phones[FIRST].script = script
    call = office.scene.caller.call(FIRST, Intent(**intent))
    office.scene.wire.run_for(1_000)
    return call, office.phones[FIRST].only_call


@pytest.mark.parametrize("extra", ["", ";early-only"])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_another_phone_of_the_account_picks_up_a_call_that_rings(office, extra, is_restarted):
    """RFC 3891 section 3: an early dialog that we have begun is replaced, and the phone that rings is cancelled."""
    scene = office.scene
    call, there = ringing(office)
    pickup = office.picked_up(SECOND, there, extra)
    assert (pickup.final, call.final, there.is_over) == (200, 200, True)
    [cancel] = office.phones[FIRST].received("CANCEL")
    assert 'SIP;cause=200;text="Call completed elsewhere"' in cancel["Reason"]
    assert (media_of(call.theirs), media_of(pickup.theirs)) == (media_of(PICKED_UP), media_of(call.mine))
    if is_restarted:
        replace_node(scene)
    for side, other in ((call, pickup), (pickup, call)):
        scene.propose(side, "a=sendonly")
        assert side.got["INVITE"][-1] == 200
        assert media_of(other.theirs) == media_of(side.mine)
    scene.wire.run_for(10_000)
    call.hang_up()
    scene.wire.run_until(lambda: pickup.is_over)
    scene.expect_nothing_left()
    [record] = scene.exchange.sink.records
    assert (record.mapping_gateway, record.routing_gateway, record.end_reason) == ("pbx", SECOND, "Normal")
    assert (record.customer_account, record.sip_call_id_out, record.codec) == ("big", pickup.call_id, "PCMU")
    assert [(each.gateway, each.code, each.reason) for each in record.attempts] == [
        (FIRST, 0, "Picked Up Elsewhere"), (SECOND, 200, "Answered"),
    ]  # fmt: skip
    assert record.hold_time_ms >= 10_000
    assert record.billed_seconds >= 10


@pytest.mark.parametrize("restarted_when", ["never", "it rings", "it is picked up"])
@pytest.mark.parametrize("has_left", [False, True])
def test_another_phone_picks_up_a_call_that_rings_for_a_transfer(office, restarted_when, has_left):
    """It is the target from then on: the party is offered its session, and the transferor is notified and released."""
    scene = office.scene
    call = scene.answered_call(talk_ms=1_000)
    office.phones[FIRST].script = RINGS
    call.ask("REFER", headers=(f"Refer-To: <sip:{FIRST}@192.0.2.1>",))
    scene.wire.run_for(1_000)
    party, there = scene.vendor.only_call, office.phones[FIRST].only_call
    if has_left:
        scene.hang_up(call, wait_ms=1_000)
    if restarted_when == "it rings":
        replace_node(scene)
    pickup = office.picked_up(SECOND, there)
    assert (pickup.final, there.is_over, call.is_over, party.is_over) == (200, True, True, False)
    notified = [notify.body.strip() for notify in call.asked["NOTIFY"]]
    assert notified[-1] == ("SIP/2.0 180 Ringing" if has_left else "SIP/2.0 200 OK")
    assert (media_of(party.theirs), media_of(pickup.theirs)) == (media_of(pickup.mine), media_of(party.mine))
    if restarted_when == "it is picked up":
        replace_node(scene)
    scene.propose(pickup, "a=sendonly", wait_ms=10_000)
    assert (pickup.got["INVITE"][-1], media_of(party.theirs)) == (200, media_of(pickup.mine))
    pickup.hang_up()
    scene.wire.run_until(lambda: party.is_over)
    scene.expect_nothing_left()
    records = {record.callee_in: record for record in scene.exchange.sink.records}
    assert [(record.routing_gateway, record.end_reason) for record in records.values()] == [
        (SECOND, "Normal"), (records[CALLEE].routing_gateway, "Normal"),
    ]  # fmt: skip
    assert [(each.gateway, each.reason) for each in records[FIRST].attempts] == [
        (FIRST, "Picked Up Elsewhere"), (SECOND, "Answered"),
    ]  # fmt: skip


def test_a_picked_up_call_that_is_charged_from_its_invite_is_charged_from_the_first_one():
    """``SS_STARTBILLINGTIME`` 1."""
    office = Office(charges_ringing=True)
    call, there = ringing(office)
    pickup = office.picked_up(SECOND, there)
    call.hang_up()
    office.scene.wire.run_until(lambda: pickup.is_over)
    office.scene.expect_nothing_left()
    record = office.scene.record
    assert record.billing_base_ms == record.ended_at - record.started_at
    assert record.hold_time_ms < record.billing_base_ms


def test_a_phone_without_room_for_the_call_does_not_pick_it_up(office):
    scene = office.scene
    full = [*(phone(number, max_concurrent=1) for number in (FIRST, SECOND, THIRD)), phone(OUTSIDER, account="other")]
    scene.exchange.swap_catalogue(catalogue(office.known, phones=full, accounts=RICH))
    busy = office.phones[THIRD].call(SECOND)
    scene.await_answer(busy, talk_ms=1_000)
    call, there = ringing(office)
    assert office.picked_up(SECOND, there).final == 486
    call.cancel()
    busy.hang_up()
    scene.wire.run_until(lambda: call.is_over and busy.is_over)
    scene.expect_nothing_left()


def test_the_phone_that_picked_up_may_hang_up(office):
    scene = office.scene
    call, there = ringing(office)
    pickup = office.picked_up(SECOND, there)
    pickup.hang_up()
    scene.wire.run_until(lambda: call.is_over)
    scene.expect_nothing_left()
    assert (scene.record.end_reason, scene.record.hangup_source) == ("Normal", "callee")


@pytest.mark.parametrize("headers", [(), SUPPORTS_100REL], ids=["unreliable", "reliable"])
def test_early_media_of_the_phone_that_rang_do_not_hinder_a_pickup(office, headers):
    scene = office.scene
    script = Script((Line(0, 100), Line(0, 183, ANSWER, (), bool(headers))))
    call, there = ringing(office, script, headers=headers)
    pickup = office.picked_up(SECOND, there)
    assert (pickup.final, call.final) == (200, 200)
    assert media_of(call.theirs) == media_of(PICKED_UP)
    call.hang_up()
    scene.wire.run_until(lambda: pickup.is_over)
    scene.expect_nothing_left()


def test_an_answer_that_crosses_a_pickup_is_hung_up(office):
    scene = office.scene
    call, there = ringing(office, answers(1_400))
    scene.wire.run_for(380)
    pickup = office.phones[SECOND].call(FIRST, Intent(PICKED_UP, headers=(f"Replaces: {there.replaces}",)))
    scene.wire.run_for(3_000)
    assert sorted((pickup.is_over, there.is_over)) == [False, True]
    scene.hang_up(call, wait_ms=3_000)
    scene.expect_nothing_left()
    assert len(scene.exchange.sink.records) == 1


@pytest.mark.parametrize("by", [OUTSIDER, FIRST])
def test_only_a_phone_of_the_account_picks_a_call_up(office, by):
    scene = office.scene
    call, there = ringing(office)
    assert office.picked_up(by, there).final == (481 if by == OUTSIDER else 200)
    assert call.is_over is False
    call.hang_up() if by == FIRST else call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    scene.expect_nothing_left()


def test_the_side_that_calls_is_not_replaced_before_the_answer(office):
    """RFC 3891 section 3: 481 for an early dialog that the replacing side's peer has begun."""
    scene = office.scene
    office.phones[SECOND].script = RINGS
    call = office.phones[FIRST].call(SECOND)
    scene.wire.run_for(1_000)
    rings = next(each for each in call.responses if each.status == 180)
    call.remote = rings["To"]
    assert office.picked_up(THIRD, call).final == 481
    call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    scene.expect_nothing_left()


@pytest.mark.parametrize(
    "offer",
    [PICKED_UP.replace("RTP/AVP 0", "RTP/SAVP 0"), PICKED_UP + "a=sendonly\r\n", ""],
    ids=["SRTP", "hold", "none"],
)
def test_a_pickup_without_a_common_session_is_refused_and_the_phone_rings_on(office, offer):
    expect_a_refused_pickup(office, offer)


@pytest.mark.parametrize("keys", ["", f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{40 * 'A'}\r\n"])
def test_a_phone_that_has_to_encrypt_picks_no_call_up(keys):
    """The 200 to it would have keys that it has not offered, and a caller without keys would be hung up."""
    expect_a_refused_pickup(Office(second={"media": MediaSettings(encryption=Encryption.REQUIRED)}), PICKED_UP + keys)


def expect_a_refused_pickup(office, offer):
    scene = office.scene
    office.phones[FIRST].script = answers(4_000)
    call = scene.begun_call(callee=FIRST, after_ms=1_000)
    there = office.phones[FIRST].only_call
    pickup = office.phones[SECOND].call(FIRST, Intent(offer, headers=(f"Replaces: {there.replaces}",)))
    scene.wire.run_for(1_000)
    assert pickup.final == 488
    scene.await_answer(call, talk_ms=500)
    call.hang_up()
    scene.wire.run_until(lambda: there.is_over)
    scene.expect_nothing_left()
    assert scene.record.routing_gateway == FIRST


def test_a_call_that_a_phone_picks_up_leaves_the_places_of_the_trunk_that_rang(office):
    """One call is all that the group of the PBX takes; the call of the phone is none of its calls."""
    pbx = mapping_gateway("branch", account="acme", credentials=credentials("branch", "secret"), groups={"crowd"})
    group, did = GatewayGroup("crowd", frozenset(), max_concurrent=1), Did("44300", "acme", trunk="branch")
    known = [*office.known, pbx]
    office.scene.exchange.swap_catalogue(
        catalogue(known, phones=[phone(FIRST)], accounts=RICH, dids=[did], groups=[group])
    )
    trunk = office.scene.exchange.telephone("branch", Endpoint("203.0.113.61", 40_000))
    trunk.register()
    trunk.script = RINGS
    call = office.scene.caller.call("44300", Intent())
    office.scene.wire.run_for(1_000)
    assert office.picked_up(FIRST, trunk.only_call).final == 200
    occupancy = office.scene.exchange.switch.live.occupancy
    assert (call.final, occupancy.active(LimitScope.GROUP, "crowd")) == (200, 0)
    call.hang_up()
    office.scene.expect_nothing_left()


def test_a_call_of_a_vendor_that_rings_is_not_picked_up():
    partner = mapping_gateway("partner", f"{VENDORS[0].host}/32", account="carriers")
    scene = Scene(
        catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), partner, vendor_gateway(0)], accounts=RICH)
    )
    call = scene.begun_call(script=RINGS, after_ms=1_000)
    there = scene.vendor.only_call
    other = scene.exchange.caller(Endpoint(VENDORS[0].host, 5_090))
    pickup = other.call(CALLEE, Intent(headers=(f"Replaces: {there.replaces}",)))
    scene.wire.run_until(lambda: pickup.final is not None)
    assert pickup.final == 481
    call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    scene.expect_nothing_left()


def test_a_vendor_that_is_a_customer_too_takes_its_side_over():
    partner = mapping_gateway("partner", f"{VENDORS[0].host}/32", account="carriers")
    scene = Scene(
        catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), partner, vendor_gateway(0)], accounts=RICH)
    )
    call, there = scene.talk()
    other = scene.exchange.caller(Endpoint(VENDORS[0].host, 5_090))
    pickup = other.call(CALLEE, Intent(headers=(f"Replaces: {there.replaces}",)))
    scene.wire.run_until(lambda: pickup.final is not None)
    scene.wire.run_for(1_000)
    assert (pickup.final, there.is_over) == (200, True)
    call.hang_up()
    scene.wire.run_until(lambda: pickup.is_over)
    scene.expect_nothing_left()
    assert (scene.record.routing_gateway, scene.record.vendor_account) == ("vendor-0", "carriers")
