"""A set-up that asks a question, over sockets: answered in time, late, never, wrongly, and interrupted (ADR 35)."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.daemon import Daemon

from vosd.testing.sockets.peer import Message, OutgoingCall, Peer

from .addresses import ASKING_SWITCH, STOPPED_SWITCH, VENDORS
from .asking_daemon import (
    AT_ONCE,
    BLOCKED,
    DEADLINE_MS,
    FROM_ELSEWHERE,
    IN_TIME,
    NEVER,
    SOON_S,
    TOLD,
    TOO_LATE,
    TWICE,
    UNFIT,
    WHEN_TOLD,
    prepare,
)  # fmt: skip
from .expectations import Expected, answered, check
from .stage import Caller, Stage, Vendor, configuration

ANSWERS = [Vendor("carrier-a", "answers")]
UNANSWERED = Expected("Unavailable", "switch", 480, 18, rated=False)
RTT_S = 0.3


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A switch whose calls ask."""
    directory = tmp_path_factory.mktemp("asking")
    with Daemon(directory, configuration("switch.yaml", ASKING_SWITCH), prepare=prepare) as daemon:
        stage = Stage(daemon, ASKING_SWITCH)
        stage.pay("acme", "100")
        yield stage
        stage.expect_timers_run_out()
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0
        stage.expect_clean_log()


def dial(stage: Stage, customer: Peer, prefix: str) -> OutgoingCall:
    call = OutgoingCall(customer, stage.address, stage.number(prefix))
    call.invite()
    customer.expect(100)
    return call


def acknowledge(call: OutgoingCall, refusal: Message) -> None:
    call.remote_to = refusal["To"]
    call.send(call.request("ACK", branch="INVITE"))


@pytest.mark.sipp
@pytest.mark.parametrize("prefix", [AT_ONCE, IN_TIME, FROM_ELSEWHERE, TWICE])
def test_an_answered_question_lets_the_call_proceed(stage: Stage, prefix: str) -> None:
    record = stage.call(Caller("hangs_up"), prefix, ANSWERS)
    check(record, answered("carrier-a"))


@pytest.mark.sipp
@pytest.mark.parametrize("prefix", [NEVER, TOO_LATE, UNFIT])
def test_a_question_without_an_answer_in_time_ends_the_call(stage: Stage, prefix: str) -> None:
    told = {"status": "480", "cause": "41", "reason": "Unavailable"}
    began = time.monotonic()
    record = stage.call(Caller("is_refused", told), prefix)
    check(record, UNANSWERED)
    waited_ms = DEADLINE_MS if prefix != UNFIT else SOON_S * 1_000
    assert time.monotonic() - began >= waited_ms / 1_000


@pytest.mark.sipp
def test_an_answer_may_refuse_the_call(stage: Stage) -> None:
    told = {"status": "403", "cause": "21", "reason": "Number Not Allowed"}
    record = stage.call(Caller("is_refused", told), BLOCKED)
    check(record, Expected("Number Not Allowed", "switch", 403, 21, rated=False))


@pytest.mark.sipp
def test_the_caller_may_cancel_meanwhile(stage: Stage) -> None:
    cancelled = {"status": "487", "cause": "16", "reason": "Cancelled"}
    record = stage.call(Caller("cancels_at_once", cancelled), NEVER)
    check(record, Expected("Cancelled", "caller", 487, 16, rated=False))


def test_a_repeated_invite_is_absorbed_and_the_call_is_shown(stage: Stage) -> None:
    with Peer(stage.endpoint_of("acme")) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        call = OutgoingCall(customer, stage.address, stage.number(NEVER))
        invite = call.invite()
        customer.expect(100)
        call.send(invite)
        customer.expect(100)
        (shown,) = stage.daemon.ask("calls")
        assert (shown["state"], shown["callee"], shown["routing_gateway"]) == ("setup", call.callee, None)
        acknowledge(call, customer.expect(480))
        assert vendor.messages(RTT_S) == []
    stage.expect_nothing_left()
    check(stage.record_of(call.callee), UNANSWERED)


def test_a_reload_does_not_change_what_a_call_that_waits_is_decided_by(stage: Stage) -> None:
    text = configuration("switch.yaml", ASKING_SWITCH)
    with Peer(stage.endpoint_of("acme")) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        call = dial(stage, customer, WHEN_TOLD)
        stage.daemon.configure(text.replace('"4410", "4470"', '"4470"'))
        stage.daemon.succeed("reload")
        assert [each["state"] for each in stage.daemon.ask("calls")] == ["setup"]
        (stage.daemon.directory / TOLD).touch()
        vendor.reply(vendor.expect("INVITE"), 486, tag="vendor-busy")
        vendor.expect("ACK")
        acknowledge(call, customer.expect(486))
    stage.daemon.configure(text)
    stage.daemon.succeed("reload")
    stage.expect_nothing_left()
    check(stage.record_of(call.callee), Expected("Busy", "callee", 486, 17, (("carrier-a", 486),)))


def test_a_stop_ends_a_call_that_waits(tmp_path: Path) -> None:
    with Daemon(tmp_path, configuration("switch.yaml", STOPPED_SWITCH), prepare=prepare) as daemon:
        stage = Stage(daemon, STOPPED_SWITCH)
        with Peer(stage.endpoint_of("acme")) as customer:
            call = dial(stage, customer, WHEN_TOLD)
            daemon.signal(signal.SIGINT)
            acknowledge(call, customer.expect(503))
        assert daemon.wait() == 0
        (record,) = stage.records("--callee", call.callee)
        assert (record["end_reason"], record["sip_code"], record["attempts"]) == ("Shutdown", 503, [])
