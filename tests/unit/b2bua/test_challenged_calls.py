"""Whole calls through vendors that want proof of who calls (RFC 3261 section 22)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from doubles.conformance import faults_of
from doubles.guard import EVERYTHING, Guard
from doubles.guarded_scene import LOGIN, GuardedScene
from doubles.races import UPDATING
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, VENDORS, Scene
from doubles.virtual.side import Reply
from doubles.virtual.vendor import RINGS, SILENT, Line, Script, answers, answers_reliably

from vosd.base.cause import EndReason
from vosd.base.credentials import Login
from vosd.sip.flows import Listener
from vosd.trunks.gateways import Address as GatewayAddress

BRIEF = 1_000


Stage = Callable[..., GuardedScene]


@pytest.fixture
def behind() -> Iterator[Stage]:
    """Set the stage; whatever the test is about, a strict peer must have found no fault with what the switch said."""
    made: list[GuardedScene] = []

    def make(*guards: Guard, **terms: Any) -> GuardedScene:
        made.append(GuardedScene(*guards, **terms))
        return made[-1]

    yield make
    for scene in made:
        assert faults_of(scene.wire.packets, SWITCH) == []


@pytest.mark.parametrize("status", [401, 407])
@pytest.mark.parametrize("algorithms", [("MD5",), ("SHA-256",), ("SHA-256", "MD5")])
@pytest.mark.parametrize("qop", ["auth", None, "auth,auth-int"])
def test_a_challenge_is_answered_at_the_same_gateway(
    behind: Stage, status: int, algorithms: tuple[str, ...], qop: str | None
):
    guard = Guard(status=status, algorithms=algorithms, qop=qop)
    scene = behind(guard)
    call = scene.call_through()
    assert call.final == 200
    first, second = scene.guarded.received("INVITE")
    assert (guard.challenged, guard.passed, guard.refusals) == (1, 1, [])
    assert first["Call-ID"] == second["Call-ID"]
    assert first["From"] == second["From"]
    assert first["To"] == second["To"]
    assert [first["CSeq"], second["CSeq"]] == ["1 INVITE", "2 INVITE"]
    assert first["Via"] != second["Via"]
    assert first.body == second.body
    assert scene.vendors[1].heard == []
    record = scene.close()
    assert [(each.gateway, each.code, each.reason) for each in record.attempts] == [("vendor-0", 200, "Answered")]
    assert record.answered_at is not None
    assert record.sip_call_id_out == second["Call-ID"]


def test_an_answered_challenge_leaves_no_trace_in_money(behind: Stage):
    plain = Scene()
    plain.wire.run_for(1)
    plain.whole_call(Intent(hang_up_after_ms=BRIEF))
    scene = behind(Guard())
    scene.call_through()
    without, with_challenge = plain.close(), scene.close()
    assert (with_challenge.fee, with_challenge.cost) == (without.fee, without.cost)
    assert with_challenge.cost != 0


def test_the_ack_of_the_answer_repeats_the_credentials_of_the_invite(behind: Stage):
    scene = behind(Guard(status=407))
    scene.call_through()
    invite = scene.guarded.received("INVITE")[-1]
    ack = scene.guarded.received("ACK")[-1]
    assert ack["CSeq"] == "2 ACK"
    assert ack["Proxy-Authorization"] == invite["Proxy-Authorization"]
    scene.close()


def test_the_refusal_is_acknowledged_before_anything_else(behind: Stage):
    scene = behind(Guard())
    scene.call_through()
    assert [each.method for each in scene.guarded.heard][:3] == ["INVITE", "ACK", "INVITE"]
    assert scene.guarded.heard[1]["CSeq"] == "1 ACK"
    scene.close()


def test_a_proxy_and_the_vendor_behind_it_are_both_satisfied(behind: Stage):
    proxy, vendor = Guard(status=407, realm="proxy"), Guard(status=401, realm="vendor")
    scene = behind(proxy, vendor)
    call = scene.call_through()
    assert call.final == 200
    assert (proxy.challenged, vendor.challenged, proxy.refusals, vendor.refusals) == (1, 1, [], [])
    assert len(scene.guarded.received("INVITE")) == 3
    scene.close()


def test_without_a_login_a_challenge_is_a_refusal_and_the_next_gateway_is_tried(behind: Stage):
    scene = behind(Guard(), login=None)
    call = scene.call_through()
    assert call.final == 200
    assert len(scene.guarded.received("INVITE")) == 1
    record = scene.close()
    assert [(each.gateway, each.code) for each in record.attempts] == [("vendor-0", 401), ("vendor-1", 200)]


@pytest.mark.parametrize("status", [401, 407])
def test_the_seventh_challenge_ends_the_attempt(behind: Stage, status: int):
    """Each of them says that only the nonce is too old."""
    guard = Guard(status=status, uses=0)
    scene = behind(guard)
    call = scene.call_through()
    assert call.final == 200
    assert guard.challenged == 7
    assert [each["CSeq"] for each in scene.guarded.received("INVITE")] == [f"{n} INVITE" for n in range(1, 8)]
    record = scene.close()
    assert [(each.gateway, each.code) for each in record.attempts] == [("vendor-0", status), ("vendor-1", 200)]


@pytest.mark.parametrize(("most", "invites"), [(0, 1), (1, 2), (3, 4)])
def test_ss_sip_authentication_retry_limits_the_answered_challenges(behind: Stage, most: int, invites: int):
    scene = behind(Guard(uses=0), parameters={"challenges_max": most})
    scene.call_through()
    assert len(scene.guarded.received("INVITE")) == invites
    scene.close()


@pytest.mark.parametrize("status", [401, 407])
@pytest.mark.parametrize("algorithms", [("MD5",), ("SHA-256", "MD5")])
def test_a_wrong_password_is_sent_once_a_call_and_the_gateway_is_logged(
    behind: Stage, status: int, algorithms: tuple[str, ...]
):
    """RFC 3261 section 22.2: the same credentials are not sent again, though the nonce is another each time."""
    guard = Guard(status=status, password="another", algorithms=algorithms)
    scene = behind(guard)
    with structlog.testing.capture_logs() as lines:
        call = scene.call_through()
    assert call.final == 200
    assert (guard.refusals, len(scene.guarded.received("INVITE"))) == (["response"], 2)
    [event] = [line for line in lines if line["event"] == "account_refused"]
    assert (event["log_level"], event["gateway"], event["code"]) == ("warning", "vendor-0", status)
    record = scene.close()
    assert [(each.gateway, each.code) for each in record.attempts] == [("vendor-0", status), ("vendor-1", 200)]


def test_a_wrong_password_is_not_sent_to_the_other_addresses_of_the_gateway(behind: Stage):
    addresses = tuple(GatewayAddress(*VENDORS[index]) for index in (0, 1))
    scene = behind(Guard(password="another"), first={"addresses": addresses})
    scene.call_through()
    assert len(scene.guarded.received("INVITE")) == 2
    assert [each.gateway for each in scene.close().attempts] == ["vendor-0", "vendor-1"]


def test_a_guard_that_takes_another_algorithm_after_all_gets_it(behind: Stage):
    """The strongest was tried first; the next challenge offers another only."""
    strong, weak = Guard(algorithms=("SHA-256",), is_deaf=True), Guard(algorithms=("MD5",))
    scene = behind(strong)
    strong.then = weak
    call = scene.call_through()
    assert call.final == 200
    assert len(scene.guarded.received("INVITE")) == 3
    assert [each.code for each in scene.close().attempts] == [200]


@pytest.mark.parametrize("login", [LOGIN, None])
def test_wrong_credentials_of_a_bye_are_sent_once_and_the_refusal_is_logged(behind: Stage, login: Login | None):
    """The call is over for us; the vendor may bill on."""
    guard = Guard(methods=frozenset({"BYE"}), is_deaf=True)
    scene = behind(guard, login=login)
    with structlog.testing.capture_logs() as lines:
        scene.call_through()
        scene.wire.run_for(1_000)
    assert len(scene.guarded.received("BYE")) == (1 if login is None else 2)
    [event] = [line for line in lines if line["event"] == "bye_refused"]
    assert (event["gateways"], event["code"]) == (["vendor-0"], 401)
    assert event["sip_call_id"] == scene.record.sip_call_id_out


def test_a_caller_does_not_learn_that_a_vendor_rejects_our_credentials(behind: Stage):
    scene = behind(Guard(password="another"), vendors=1)
    call = scene.call_through()
    assert call.final == 503
    record = scene.close()
    assert (record.end_reason, [each.code for each in record.attempts]) == (EndReason.UNAVAILABLE.text, [401])


def test_a_challenged_bye_is_sent_again_with_credentials(behind: Stage):
    guard = Guard(methods=frozenset({"BYE"}))
    scene = behind(guard)
    scene.call_through()
    scene.wire.run_for(1_000)
    assert [each["CSeq"] for each in scene.guarded.received("BYE")] == ["2 BYE", "3 BYE"]
    assert guard.passed == 1
    assert scene.guarded.only_call.is_over
    scene.close()


def test_later_requests_have_credentials_at_once_and_count_the_nonce(behind: Stage):
    guard = Guard(methods=EVERYTHING)
    scene = behind(guard)
    scene.call_through()
    scene.wire.run_for(1_000)
    assert (guard.challenged, guard.passed, guard.refusals) == (1, 2, [])
    (bye,) = scene.guarded.received("BYE")
    assert "nc=00000002" in bye["Authorization"]
    assert scene.guarded.only_call.is_over
    scene.close()


def test_a_nonce_that_is_stale_by_the_time_of_the_bye_is_replaced(behind: Stage):
    guard = Guard(methods=EVERYTHING, uses=1)
    scene = behind(guard)
    scene.call_through()
    scene.wire.run_for(1_000)
    assert guard.refusals == ["stale"]
    assert guard.passed == 2
    assert scene.guarded.only_call.is_over
    scene.close()


def test_a_proposal_that_is_challenged_goes_through(behind: Stage):
    guard = Guard(methods=frozenset({"INVITE"}), uses=1)
    scene = behind(guard)
    call, there = scene.talk()
    offer = call.propose("a=sendonly")
    scene.wire.run_for(2_000)
    assert guard.refusals == ["stale"]
    assert there.theirs == offer
    assert call.got["INVITE"] == [200]
    assert call.agrees_with(there)
    ack = there.acks[-1]
    assert ack["Authorization"] == scene.guarded.received("INVITE")[-1]["Authorization"]
    scene.finish(call)


def test_a_prack_that_is_challenged_goes_through(behind: Stage):
    guard = Guard(methods=frozenset({"PRACK"}))
    scene = behind(guard, script=answers_reliably())
    call = scene.call_through()
    assert call.final == 200
    assert guard.passed == 1
    scene.close()


def test_an_update_that_is_challenged_goes_through(behind: Stage):
    guard = Guard(methods=frozenset({"UPDATE"}))
    scene = behind(guard)
    call, there = scene.talk(Intent(headers=KNOWS_UPDATE), UPDATING)
    offer = call.propose("a=sendonly", method="UPDATE")
    scene.wire.run_for(2_000)
    assert (guard.challenged, guard.passed) == (1, 1)
    assert there.theirs == offer
    assert call.got["UPDATE"] == [200]
    assert call.agrees_with(there)
    scene.finish(call)


def test_an_info_that_is_challenged_goes_through(behind: Stage):
    guard = Guard(methods=frozenset({"INFO"}))
    scene = behind(guard)
    call, there = scene.talk()
    call.ask("INFO", body="Signal=5\r\n", kind="application/dtmf-relay")
    scene.wire.run_for(1_000)
    assert guard.passed == 1
    assert call.got["INFO"] == [200]
    assert len(there.asked["INFO"]) == 1
    scene.finish(call)


def test_a_challenge_after_early_media_counts_on_from_the_prack(behind: Stage):
    """A proxy may ring a phone before it asks who calls."""
    asks = Line(500, 407, "", ('Proxy-Authenticate: Digest realm="r", nonce="n", stale=true',))
    scene = behind(Guard(methods=frozenset()), script=Script((Line(0, 183, ANSWER, (), True), asks)))
    scene.caller.call(CALLEE, Intent(headers=SUPPORTS_100REL, hang_up_after_ms=BRIEF))
    scene.wire.run_for(20_000)
    asked = [each["CSeq"] for each in scene.guarded.heard if each.method in {"INVITE", "PRACK"}]
    assert asked == [f"{number} {'INVITE' if number % 2 else 'PRACK'}" for number in range(1, 15)]
    assert [each.code for each in scene.close().attempts] == [407, 200]


def test_an_invite_sent_again_for_another_reason_has_credentials_at_once(behind: Stage):
    """422 to an INVITE that was proven already (RFC 4028)."""
    guard = Guard()
    too_small = Line(0, 422, "", ("Min-SE: 3000",))
    scene = behind(guard, script=Script((Line(0, 100), too_small)))
    scene.caller.call(CALLEE, Intent(hang_up_after_ms=BRIEF))
    scene.wire.run_for(3_000)
    assert guard.challenged == 1
    assert [each["CSeq"] for each in scene.guarded.received("INVITE")] == ["1 INVITE", "2 INVITE", "3 INVITE"]
    assert "nc=00000002" in scene.guarded.received("INVITE")[-1]["Authorization"]


def test_a_challenge_after_the_caller_has_gone_is_not_answered(behind: Stage):
    guard = Guard()
    scene = behind(guard)
    call = scene.settled_call(Intent(cancel_after_ms=0))
    scene.wire.run_for(40_000)
    assert call.final == 487
    assert guard.passed == 0
    assert len({each["CSeq"] for each in scene.guarded.received("INVITE")}) == 1
    scene.close()


def test_the_time_to_respond_counts_from_the_first_invite(behind: Stage):
    scene = behind(Guard(), script=SILENT)
    call = scene.call_through()
    assert call.final == 200
    record = scene.close()
    first, second = record.attempts
    assert (first.gateway, first.code, second.gateway) == ("vendor-0", 0, "vendor-1")
    assert 5_000 <= first.ms <= 5_100


def test_an_unwanted_answer_is_ended_with_credentials(behind: Stage):
    guard = Guard(methods=EVERYTHING, uses=1)
    late = Script(answers(20_000).lines, accepts_cancel=False)
    scene = behind(guard, script=late)
    scene.settled_call(Intent(cancel_after_ms=5_000))
    scene.wire.run_for(30_000)
    assert scene.guarded.only_call.is_over
    assert scene.guarded.received("ACK")[-1]["Authorization"]
    assert guard.passed == 2
    scene.exchange.residue()


def test_a_second_fork_is_ended_with_credentials(behind: Stage):
    guard = Guard(methods=EVERYTHING)
    scene = behind(guard, script=Script(answers(500).lines, forks=(answers(1_500),)))
    scene.call_through(hang_up_after_ms=5_000)
    scene.wire.run_for(2_000)
    assert guard.refusals == []
    assert all(each.is_over for each in scene.guarded.calls)
    assert len(scene.guarded.received("BYE")) == 2
    scene.exchange.residue()


def test_a_large_invite_is_authenticated_on_its_connection(behind: Stage):
    listeners = (Listener(*SWITCH), Listener(*SWITCH, transport="tcp"))
    scene = behind(Guard(), listeners=listeners)
    offer = "v=0\r\n" + "a=x:" + "y" * 1_400 + "\r\n"
    scene.call_through(offer=offer)
    first, second = scene.guarded.received("INVITE")
    assert first["Via"].startswith("SIP/2.0/TCP")
    assert second["Via"].startswith("SIP/2.0/TCP")
    assert "transport=tcp" in second["Contact"]
    scene.exchange.residue()


def test_endless_ringing_is_cancelled_with_the_cseq_of_the_authenticated_invite(behind: Stage):
    scene = behind(Guard(), script=RINGS)
    scene.settled_call(Intent(cancel_after_ms=3_000))
    scene.wire.run_for(2_000)
    (cancel,) = scene.guarded.received("CANCEL")
    assert cancel["CSeq"] == "2 CANCEL"
    assert scene.guarded.only_call.is_cancelled
    scene.close()


def test_a_challenge_within_the_call_that_cannot_be_met_is_no_end(behind: Stage):
    guard = Guard(methods=frozenset({"INFO"}), is_deaf=True)
    scene = behind(guard)
    call, _ = scene.talk()
    call.ask("INFO", body="Signal=5\r\n", kind="application/dtmf-relay")
    scene.wire.run_for(2_000)
    assert guard.challenged == 2
    assert call.got["INFO"] == [503]
    call.will("BYE", Reply(200))
    scene.finish(call)
