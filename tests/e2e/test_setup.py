"""A set-up that asks a question, over sockets: answered in time, late, never, wrongly, and interrupted (ADR 35)."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from doubles.daemon import Daemon
from doubles.sockets.peer import OutgoingCall, Peer

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
CONFIGURATION = configuration("switch.yaml", ASKING_SWITCH)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A switch whose calls ask."""
    directory = tmp_path_factory.mktemp("asking")
    with Daemon(directory, CONFIGURATION, prepare=prepare) as daemon:
        stage = Stage(daemon, ASKING_SWITCH)
        stage.pay("acme", "100")
        yield stage
        stage.expect_timers_run_out()
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0
        stage.expect_clean_log()


@pytest.mark.sipp
@pytest.mark.parametrize("prefix", [AT_ONCE, IN_TIME, FROM_ELSEWHERE, TWICE])
def test_an_answered_question_lets_the_call_proceed(stage: Stage, prefix: str) -> None:
    record = stage.call(Caller("hangs_up"), prefix, ANSWERS)
    check(record, answered("carrier-a"))


@pytest.mark.sipp
@pytest.mark.parametrize("prefix", [NEVER, TOO_LATE, UNFIT])
def test_a_question_without_an_answer_in_time_ends_the_call(stage: Stage, prefix: str) -> None:
    told = {"status": "480", "cause": "18", "reason": "Unavailable"}
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


class Patient(NamedTuple):
    """A call that waits until the daemon is told to answer."""

    call: OutgoingCall
    invite: str
    customer: Peer
    vendor: Peer


@pytest.fixture
def patient(stage: Stage) -> Iterator[Patient]:
    """Give such a call; in the end its question is answered, and the vendor, which gets it once, is busy."""
    with Peer(stage.endpoint_of("acme")) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        call = OutgoingCall(customer, stage.address, stage.number(WHEN_TOLD))
        invite = call.invite()
        customer.expect(100)
        yield Patient(call, invite, customer, vendor)
        assert vendor.messages(RTT_S) == []
        (stage.daemon.directory / TOLD).touch()
        incoming = vendor.expect("INVITE")
        vendor.reply(incoming, 486, tag="vendor-busy")
        call.refused()
        assert {each["Call-ID"] for each in vendor.messages(RTT_S)} == {incoming["Call-ID"]}
    (stage.daemon.directory / TOLD).unlink()
    stage.daemon.configure(CONFIGURATION)
    stage.daemon.succeed("reload")
    stage.expect_nothing_left()
    check(stage.record_of(call.callee), Expected("Busy", "callee", 486, 17, (("carrier-a", 486),)))


def test_a_call_that_waits_is_shown(stage: Stage, patient: Patient) -> None:
    (shown,) = stage.daemon.ask("calls")
    assert (shown["state"], shown["callee"], shown["routing_gateway"]) == ("setup", patient.call.callee, None)


def test_a_repeated_invite_is_absorbed(stage: Stage, patient: Patient) -> None:
    for _ in range(2):
        patient.call.send(patient.invite)
        patient.customer.expect(100)
    assert stage.status()["calls"] == 1


def test_a_reload_does_not_change_what_a_call_that_waits_is_decided_by(stage: Stage, patient: Patient) -> None:
    before = stage.status()["catalogue"]["version"]
    stage.daemon.configure(CONFIGURATION.replace('["4410", ', "["))
    stage.daemon.succeed("reload")
    assert stage.status()["catalogue"]["version"] != before
    assert stage.status()["calls"] == 1


def test_a_question_is_named_where_a_route_is_explained(stage: Stage) -> None:
    question = ("--gateway", "acme-pbx", "--caller", "1", "--callee", IN_TIME, "--live")
    explained = stage.daemon.ask("route", "explain", *question)
    assert (explained["result"], explained["unasked"]) == ("Unavailable", ["directory"])
    stage.expect_nothing_left()


def test_a_stop_ends_a_call_that_waits(tmp_path: Path) -> None:
    with Daemon(tmp_path, configuration("switch.yaml", STOPPED_SWITCH), prepare=prepare) as daemon:
        stage = Stage(daemon, STOPPED_SWITCH)
        with Peer(stage.endpoint_of("acme")) as customer:
            call = OutgoingCall(customer, stage.address, stage.number(WHEN_TOLD))
            call.invite()
            customer.expect(100)
            daemon.signal(signal.SIGINT)
            assert call.refused().status == 503
        assert daemon.wait() == 0
        (record,) = stage.records("--callee", call.callee)
        assert (record["end_reason"], record["sip_code"], record["attempts"]) == ("Shutdown", 503, [])
