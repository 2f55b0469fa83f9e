"""A test call to a vendor: each step of it, what it leaves, and what it never leaves behind."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from doubles.data.builders import account, applied_rate, catalogue, rate_group
from doubles.doorkeeper import ScriptedDoorkeeper, Treatment
from doubles.journals import opened
from doubles.recording import Database
from doubles.sockets.peer import ANSWER
from doubles.sti import usual
from doubles.trial_scene import Trial, said
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, VENDORS, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import RINGS, SILENT, Line, Script, answers, refuses

from vosd.base.clock import Instant
from vosd.base.errors import VosError
from vosd.billing.accounts import AccountType
from vosd.billing.exchange import ExchangeRate
from vosd.callcontrol.bookkeeping import lost
from vosd.callcontrol.open_call import UNDESCRIBED
from vosd.engine.booking.recorder import Recorder
from vosd.engine.calls.trial import GatewayBusyError
from vosd.engine.journal import Journal
from vosd.engine.settings import CdrSettings
from vosd.sip.flows import Listener
from vosd.sip.wire.outgoing import Peer
from vosd.stir.passport import SignedAbout, read
from vosd.stir.settings import StirTerms
from vosd.trunks.announcements import GatewaySound
from vosd.trunks.dialect import CalleeDialect
from vosd.trunks.stir import VendorSignatures

ANSWERS = answers(1_000)


def test_an_answered_call_shows_its_steps_and_is_hung_up_after_its_time() -> None:
    trial = Trial(ANSWERS, talk_ms=3_000)
    report = trial.run()
    host, port = VENDORS[0]
    assert said(report) == [
        f"INVITE to {host}:{port} for {CALLEE}",
        "100 Tested",
        "180 Tested",
        "200 Tested",
        "ACK",
        "BYE",
    ]
    assert (report["result"], report["code"], report["codec"], report["address"]) == (
        "answered", 200, "PCMU", f"{host}:{port}",
    )  # fmt: skip
    assert 3_000 <= report["talk_ms"] < 3_200
    assert 0 < report["pdd_ms"] < 200
    invite = trial.scene.vendor.only_call.invite
    assert "a=inactive" in invite.body


def test_the_vendor_is_booked_as_for_any_call_and_no_customer_is() -> None:
    trial = Trial(ANSWERS, talk_ms=3_000)
    report = trial.run()
    (record,) = trial.exchange.sink.records
    assert (record.customer_account, record.mapping_gateway, record.answered_at, record.fee) == (None, None, None, 0)
    assert record.is_test
    assert (record.vendor_account, record.cost, report["cost"]) == ("carriers", Decimal("0.015"), "0.015")
    assert [(each.account, each.amount) for each in record.postings] == [("carriers", Decimal("-0.015"))]
    assert (record.call_id, record.callee_billing, record.end_reason) == (report["call_id"], CALLEE, "Normal")
    assert trial.exchange.sink.open == {}


async def test_what_it_costs_is_owed_until_it_is_booked_and_then_taken_from_the_balance(tmp_path: Path) -> None:
    trial = Trial(ANSWERS, talk_ms=3_000)
    credit, database = trial.exchange.credits["carriers"], Database()
    credit.set_terms(Decimal(2), None)
    credit.restore(Decimal(0), 0)  # the database is empty
    trial.run()
    owed, left = Decimal("-0.015"), Decimal("1.985")
    assert (credit.balance, credit.unbooked, credit.available) == (0, owed, left)
    journal = opened(tmp_path / "journal")
    recorder = Recorder(database, journal, trial.exchange.credits, CdrSettings(batch_ms=1))
    (record,) = trial.exchange.sink.records
    journal.ended(record)
    recorder.add(record)
    task = asyncio.create_task(recorder.run())
    await asyncio.wait_for(recorder.drained(), 30)
    task.cancel()
    assert (credit.balance, credit.unbooked, credit.available) == (owed, 0, left)


def test_a_vendor_in_another_currency_than_its_rates_is_booked_in_its_own() -> None:
    vendor = account(
        "carriers", type=AccountType.CLEARING, rate_group="buy", overdraft_limit=None, currency="EUR", fee_precision=3
    )
    rates = (ExchangeRate("USD", "EUR", Decimal("0.90")), ExchangeRate("EUR", "USD", Decimal("1.10")))
    trial = Trial(ANSWERS, content=usual_catalogue(accounts=[vendor], exchange_rates=rates), talk_ms=3_000)
    report = trial.run()
    (record,) = trial.exchange.sink.records
    assert (report["cost"], record.cost, record.vendor_currency) == ("0.014", Decimal("0.014"), "EUR")
    assert [(each.amount, each.currency) for each in record.postings] == [(Decimal("-0.014"), "EUR")]


def test_a_call_that_is_to_ring_only_is_cancelled_as_soon_as_it_rings() -> None:
    trial = Trial(ANSWERS, is_ring_only=True)
    report = trial.run()
    assert said(report)[2:] == ["180 Tested", "CANCEL", "487 Tested"]
    assert (report["result"], report["call_id"], report["cost"]) == ("rang", None, "0.00")
    assert trial.exchange.sink.records == []


def test_an_answer_that_crosses_the_cancel_is_hung_up_and_booked() -> None:
    trial = Trial(Script((Line(0, 180), Line(10, 200, ANSWER)), accepts_cancel=False), is_ring_only=True)
    report = trial.run()
    assert said(report)[-3:] == ["200 Tested", "ACK", "BYE"]
    assert report["result"] == "answered"
    assert trial.exchange.sink.records[0].vendor_account == "carriers"


@pytest.mark.parametrize(
    ("script", "order", "result", "end", "seconds"),
    [
        (ANSWERS, {"talk_ms": 3_000}, "answered", ("Normal", "switch", None), 4),
        (RINGS, {}, "no answer", ("No Answer", "switch", 480), 9),
        (SILENT, {}, "no response", ("No Answer", "switch", 480), 6),
        (Script((Line(0, 100), Line(4_000, 486))), {}, "refused", ("Busy", "callee", 486), 4),
        (Script((Line(2_500, 180),)), {"is_ring_only": True}, "rang", ("Cancelled", "switch", 487), 3),
        (Script((Line(1_000, 180), Line(1_010, 200, ANSWER)), accepts_cancel=False), {"is_ring_only": True}, "answered",
         ("Normal", "switch", None), 1),
    ],
)  # fmt: skip
def test_where_calls_are_charged_from_the_invite_the_ringing_of_a_test_call_is(
    script: Script, order: dict[str, Any], result: str, end: tuple[str, str, int | None], seconds: int
) -> None:
    trial = Trial(script, {"response_timeout_ms": 5_900, "ring_timeout_ms": 8_500}, charges_ringing=True, **order)
    report = trial.run()
    (record,) = trial.exchange.sink.records
    cost = Decimal("0.005") * seconds
    assert (report["result"], Decimal(report["cost"]), report["call_id"]) == (result, cost, record.call_id)
    assert (report["talk_ms"] is None) is (result != "answered")
    assert (record.end_reason, record.hangup_source, record.sip_code) == end
    assert (record.vendor_billed_seconds, record.cost, record.fee, record.recorded) == (seconds, cost, 0, True)
    assert [each.gateway for each in record.attempts] == ["vendor-0"]
    assert trial.exchange.credits["carriers"].unbooked == -cost
    assert trial.exchange.sink.open == {}


def test_a_kill_while_a_test_call_rings_charges_it_until_then(tmp_path: Path) -> None:
    trial = Trial(RINGS, charges_ringing=True)
    trial.begin()
    (ringing,) = trial.exchange.sink.open.values()
    journal = opened(tmp_path / "journal")
    assert journal.answered(ringing, UNDESCRIBED)
    journal.tick(Instant(ringing.answered_mono + 7_000, 0), has_calls=False)
    remains = Journal(tmp_path / "journal").open()
    (found,) = remains.open_calls.values()
    assert lost(found, remains.last_mono).vendor_billed_seconds == 7
    trial.call.stop(trial.exchange.clock.now())
    trial.exchange.flush()
    trial.scene.wire.run_until(lambda: trial.call.is_over)
    trial.over()


def waiting(treatment: Treatment, script: Script = ANSWERS, **order: Any) -> Trial:
    keeper = ScriptedDoorkeeper({"INVITE": treatment})
    trial = Trial(script, charges_ringing=True, switch={"doorkeeper": keeper}, **order)
    keeper.exchange = trial.exchange
    return trial


def test_an_invite_of_a_test_call_that_has_waited_is_charged_from_when_it_leaves() -> None:
    trial = waiting(Treatment(2_000, longest_ms=3_000), answers(3_000), talk_ms=4_000)
    report = trial.run()
    (record,) = trial.exchange.sink.records
    assert (record.vendor_billed_seconds, record.vendor_billing_base_ms) == (7, record.billing_base_ms)
    assert (report["result"], report["pdd_ms"] < 2_000, report["cost"]) == ("answered", True, "0.035")
    first = report["steps"][0]
    assert (first["ms"] // 1_000, first["what"].split()[0]) == (2, "INVITE")


@pytest.mark.parametrize("ends", ["not sent", "interrupted", "killed"])
def test_an_invite_of_a_test_call_that_has_not_left_costs_nothing(ends: str, tmp_path: Path) -> None:
    trial = waiting(Treatment(longest_ms=3_000, may_leave=False))
    trial.begin()
    trial.scene.wire.run_for(2_000)
    (waits,) = trial.exchange.sink.open.values()
    if ends == "killed":
        journal = opened(tmp_path / "journal")
        assert journal.answered(waits, UNDESCRIBED)
        journal.tick(Instant(waits.answered_mono + 7_000, 0), has_calls=False)
        remains = Journal(tmp_path / "journal").open()
        (found,) = remains.open_calls.values()
        assert lost(found, remains.last_mono).postings == ()
    if ends != "not sent":
        trial.call.stop(trial.exchange.clock.now())
        trial.exchange.flush()
    trial.scene.wire.run_until(lambda: trial.call.is_over)
    report = trial.over()
    (record,) = trial.exchange.sink.records
    assert (record.recorded, record.postings, report["call_id"], report["cost"]) == (False, (), None, "0.00")
    assert "INVITE to" not in " ".join(said(report))
    assert trial.scene.vendor.calls == []
    assert trial.exchange.credits["carriers"].reserved == 0


def test_an_invite_of_a_test_call_that_cannot_be_journaled_when_it_leaves_is_cancelled() -> None:
    trial = waiting(Treatment(2_000, longest_ms=3_000), RINGS)
    trial.begin()
    trial.exchange.sink.takes_answers = False
    trial.scene.wire.run_until(lambda: trial.call.is_over)
    trial.scene.wire.run_for(40_000)
    trial.over()
    assert trial.scene.vendor.only_call.is_over
    assert [record.postings for record in trial.exchange.sink.all_records] == [()]


def test_a_test_call_that_is_charged_from_the_invite_holds_its_ringing_and_is_journaled_first() -> None:
    trial = Trial(refuses(486), {"ring_timeout_ms": 30_000}, charges_ringing=True, talk_ms=3_000)
    trial.exchange.sink.takes_answers = False
    with pytest.raises(GatewayBusyError, match="the journal cannot be written"):
        trial.begin()
    assert trial.exchange.leftovers() == {}
    assert trial.scene.vendor.calls == []
    trial.exchange.sink.takes_answers = True
    trial.begin()
    assert trial.exchange.credits["carriers"].reserved == Decimal("0.005") * (30 + 3 + 2)
    trial.scene.wire.run_until(lambda: trial.call.is_over, within_ms=120_000)
    report = trial.over()
    assert (report["result"], report["call_id"], report["cost"]) == ("refused", None, "0.00")


@pytest.mark.parametrize("charges_ringing", [False, True])
def test_answers_in_vain_are_booked_as_those_of_any_call(*, charges_ringing: bool) -> None:
    fork = Script((Line(0, 180), Line(2_000, 200, ANSWER)))
    trial = Trial(ANSWERS._replace(forks=(fork,)), talk_ms=3_000, charges_ringing=charges_ringing)
    report = trial.run()
    (record,) = trial.exchange.sink.late_answers
    assert (record.attempts[0].reason, record.vendor_account) == ("Forked", "carriers")
    assert record.vendor_billed_seconds == (3 if charges_ringing else 1)
    assert record.reason_text == f"another phone answered first, in call {report['call_id']}"

    late = Trial(Script((Line(2_500, 200, ANSWER),)), {"response_timeout_ms": 2_000}, charges_ringing=charges_ringing)
    assert late.run()["result"] == "no response"
    late.scene.wire.run_for(5_000)
    (record,) = late.exchange.sink.late_answers
    rang = late.exchange.sink.records if charges_ringing else []
    assert record.attempts[0].reason == "Late Answer"
    assert [record.vendor_paid_ms] == ([each.vendor_billing_base_ms for each in rang] or [None])
    assert sum(each.vendor_billed_seconds for each in (record, *rang)) == (4 if charges_ringing else 1)
    assert sum(each.amount for each in record.postings) == -record.cost < 0


def test_a_refusal_is_shown_in_the_words_of_the_vendor() -> None:
    script = refuses(503, headers=('Reason: Q.850;cause=34;text="no circuit"',))
    report = Trial(script).run()
    assert (report["result"], report["code"]) == ("refused", 503)
    assert report["reason"].endswith("no circuit, Q.850 cause 34")


def test_a_call_that_rings_for_too_long_is_cancelled() -> None:
    trial = Trial(RINGS, terms={"ring_timeout_ms": 5_000})
    report = trial.run()
    assert (report["result"], said(report)[-2]) == ("no answer", "CANCEL")
    assert 5_000 <= report["steps"][-2]["ms"] < 5_200


def test_a_vendor_without_any_response_is_given_up() -> None:
    trial = Trial(SILENT, terms={"response_timeout_ms": 2_000})
    report = trial.run()
    assert (report["result"], report["code"], said(report)[-1]) == ("no response", None, "given up: no response")


def test_a_vendor_that_cannot_be_reached_is_not_said_to_be_silent() -> None:
    trial = Trial(SILENT, switch={"listeners": (Listener(*SWITCH, "tcp"),)})
    trial.begin()
    trial.scene.wire.run_for(100)
    exchange = trial.exchange
    for event in exchange.endpoint.transport_failed(Peer(0, *VENDORS[0]), exchange.clock.now()):
        exchange.switch.handle(event)
    exchange.flush()
    trial.scene.wire.run_until(lambda: trial.call.is_over, within_ms=120_000)
    report = trial.over()
    assert (report["result"], said(report)[-1]) == ("unreachable", "unreachable")


def test_a_vendor_may_hang_up_first() -> None:
    trial = Trial(answers(100, hang_up_after_ms=500), talk_ms=30_000)
    report = trial.run()
    assert said(report)[-1] == "BYE of the vendor, answered 200"
    assert trial.exchange.sink.records[0].hangup_source == "callee"
    assert report["talk_ms"] < 1_000


@pytest.mark.parametrize(("after_ms", "last"), [(200, "487 Tested"), (2_000, "BYE")])
def test_an_operator_may_interrupt_it(after_ms: int, last: str) -> None:
    trial = Trial(ANSWERS, talk_ms=30_000)
    trial.begin()
    trial.scene.wire.run_for(after_ms)
    trial.call.stop(trial.exchange.clock.now())
    trial.exchange.flush()
    trial.scene.wire.run_until(lambda: trial.call.is_over)
    assert said(trial.over())[-1] == last


@pytest.mark.parametrize(("after_ms", "method"), [(30, "CANCEL"), (200, "CANCEL"), (2_000, "BYE")])
@pytest.mark.parametrize("is_interrupted", [False, True])
def test_it_ends_with_the_process_and_leaves_requests_that_need_nothing_of_it(
    after_ms: int, method: str, is_interrupted: bool
) -> None:
    """An answer that comes behind that is released by the endpoint, which the next process goes on with."""
    trial = Trial(ANSWERS, talk_ms=30_000)
    trial.begin()
    trial.scene.wire.run_for(after_ms)
    if is_interrupted:
        trial.call.stop(trial.exchange.clock.now())
    trial.call.abandon(trial.exchange.clock.now())
    trial.exchange.flush()
    assert trial.call.is_over
    trial.call.abandon(trial.exchange.clock.now())
    store = trial.exchange.endpoint.store
    assert [client.owner for client in store.clients.values()] == [None] * len(store.clients)
    assert len(trial.exchange.sink.records) == (method == "BYE")
    trial.scene.wire.run_for(1_000)
    assert f"{method} sip:".encode() in trial.scene.bytes_to(VENDORS[0])
    trial.scene.wire.run_for(60_000)
    trial.over()


def test_an_announcement_has_no_peer_to_call() -> None:
    trial = Trial(ANSWERS, terms={"sound": GatewaySound("closed", 1, 480)})
    with pytest.raises(GatewayBusyError, match="is an announcement"):
        trial.call.begin()


def test_it_takes_a_place_on_the_gateway_like_any_call() -> None:
    trial = Trial(ANSWERS, terms={"max_concurrent": 1})
    trial.begin()
    with pytest.raises(GatewayBusyError, match="limit"):
        trial.call.begin()
    trial.scene.wire.run_until(lambda: trial.call.is_over, within_ms=120_000)
    trial.over()


def test_a_gateway_without_address_takes_no_call() -> None:
    trial = Trial(ANSWERS, terms={"addresses": ()})
    with pytest.raises(VosError, match="no address"):
        trial.call.begin()
    assert trial.exchange.leftovers() == {}


def test_a_vendor_that_is_paid_in_advance_is_held_for_and_without_money_is_not_called() -> None:
    trial = Trial(ANSWERS, talk_ms=3_000)
    credit = trial.exchange.credits["carriers"]
    credit.set_terms(Decimal(0), None)
    with pytest.raises(GatewayBusyError, match="account carriers has"):
        trial.begin()
    assert trial.exchange.leftovers() == {}
    credit.committed(Decimal("0.025"), 2)
    trial.begin()
    assert credit.reserved == Decimal("0.025")  # five seconds at half a cent
    trial.scene.wire.run_until(lambda: trial.call.is_over, within_ms=120_000)
    assert trial.over()["cost"] == "0.015"


def test_an_answer_that_cannot_be_journaled_is_hung_up_at_once() -> None:
    trial = Trial(ANSWERS)
    trial.exchange.sink.takes_answers = False
    report = trial.run()
    assert said(report)[-1] == "BYE"
    assert report["talk_ms"] == 0


def test_a_test_call_to_a_partner_holds_nothing_and_raises_its_balance() -> None:
    """Its account has nothing left, which matters for its own calls alone."""
    groups = [rate_group("buy", applied_rate("0.30"))]
    peer = account("carriers", type=AccountType.PARTNER)
    content = catalogue([vendor_gateway(0, rate_group="buy")], accounts=[peer], rate_groups=groups)
    trial = Trial(ANSWERS, content=content, talk_ms=3_000)
    trial.exchange.credits["carriers"].committed(Decimal(-1), 2)
    trial.run()
    (record,) = trial.exchange.sink.records
    assert [each.amount > 0 for each in record.postings] == [True]


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("OPTIONS", "", 200),
        ("INFO", "Signal=1\r\n", 200),
        ("UPDATE", "", 200),
        ("UPDATE", ANSWER, 488),
        ("PRACK", "", 481),
        ("BYE", "", 481),
    ],
)
def test_a_request_of_the_vendor_before_the_answer_is_answered_within_its_early_dialog(
    method: str, body: str, status: int
) -> None:
    trial = Trial(answers(2_000), talk_ms=1_000)
    trial.begin()
    trial.scene.wire.run_for(500)
    party = trial.scene.vendor.only_call
    party.ask(method, body=body, kind="application/dtmf-relay" if method == "INFO" else "application/sdp")
    trial.scene.wire.run_for(500)
    assert party.got[method] == [status]
    trial.scene.wire.run_until(lambda: trial.call.is_over)
    report = trial.over()
    assert f"{method} of the vendor, answered {status}" in said(report)
    assert report["result"] == "answered"


def test_a_test_call_that_is_cancelled_while_it_rings_leaves_no_early_dialog() -> None:
    trial = Trial(RINGS, {"ring_timeout_ms": 5_000})
    trial.run()
    trial.scene.wire.run_for(40_000)
    assert trial.exchange.residue() == {}


def test_a_vendor_that_is_sent_signatures_is_sent_one() -> None:
    dialect = CalleeDialect(stir=VendorSignatures(sign=True))
    content = usual_catalogue(terms={"dialect": dialect}, stir=StirTerms(usual()[1].signer))
    trial = Trial(ANSWERS, content=content, caller="12025550100")
    trial.run()
    token = read(trial.scene.vendor.only_call.invite["Identity"], SignedAbout("", "", ""))
    assert token is not None
    assert (token.claims.orig.tn, token.claims.dest.tn, token.claims.attestation) == ("12025550100", (CALLEE,), "C")
