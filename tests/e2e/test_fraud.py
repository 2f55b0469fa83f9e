"""An account that suddenly uses a class of destinations much more: alarm, block, hang-up, unblock."""

import asyncio
from decimal import Decimal
from pathlib import Path

from doubles.daemon import Daemon
from doubles.data.records import answered_call
from doubles.journals import acknowledged_in
from doubles.moved_clock import MovedClock, follow

from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

from .addresses import GUARDED_SWITCH
from .conditions import eventually
from .conversation import conversing
from .stage import SQLITE, Stage, configuration

NOW = 1_790_000_100_000
DAY_MS = 86_400_000
CLASSES = """
destination_classes:
  - {name: premium, prefixes: ["4410"]}
  - {name: mobile, prefixes: ["4470"]}
"""
LIMITS = (
    "destination_limits: [{destination: premium, factor: 3, minutes: 5, action: hang up}], new_destination_alarm: yes"
)
EXPLAIN = ("route", "explain", "--gateway", "acme-pbx", "--caller", "1202", "--callee")


async def book_past(url: str) -> None:
    """Book a call of two minutes of the account to the class two days ago, and one yesterday."""
    async with Database(url) as database:
        for days in (1, 2):
            at = NOW - days * DAY_MS
            call = answered_call(
                days, customer_account="acme", vendor_account="vendors", callee_billing="44101", fee=Decimal("0.02"),
                started_at=at, answered_at=at, vendor_answered_at=at, ended_at=at + 120_000, hold_time_ms=120_000,
            )  # fmt: skip
            await SqlBooks(database).book([call])


def test_a_class_that_an_account_suddenly_uses_is_blocked_for_it_until_an_operator_clears_it(tmp_path: Path) -> None:
    clock = MovedClock(tmp_path, NOW)
    text = configuration("switch.yaml", GUARDED_SWITCH).replace("{id: acme, ", f"{{id: acme, {LIMITS}, ") + CLASSES
    with Daemon(tmp_path, text, prepare=follow) as daemon:
        stage = Stage(daemon, GUARDED_SWITCH)
        asyncio.run(book_past(SQLITE.replace("$directory", str(tmp_path))))
        stage.pay("acme", "100")
        stage.pay("poor", "100")

        def alarms(name: str, *options: str) -> list[str]:
            found = daemon.ask("alarms", *options)
            return [f"{each['subject']}: {each['text']}" for each in found if each["alarm"] == name]

        with conversing(stage, "4410", "4410", "4470", "4410") as (running, refused, mobile, allowed):
            running.establish()
            assert stage.status()["calls"] == 1  # an answer that comes behind the ACK
            clock.stand_at(355_000)  # of six minutes, three times the two of the past days
            mobile.establish()
            assert stage.status()["calls"] == 2
            eventually(lambda: alarms("destination_new"), "the alarm of a class that was never called")
            assert alarms("fraud_suspected") == []
            clock.stand_at(361_000)
            running.is_ended_by_the_switch()
            eventually(lambda: alarms("fraud_suspected"), "the alarm")
            (said,) = alarms("fraud_suspected")
            assert said.startswith("acme premium: ")
            assert "6.0 minutes in an hour, 6.0 allowed, at most 2.0 minutes in this hour of the past days" in said
            assert [each.split(":")[0] for each in alarms("destination_new")] == ["acme mobile"]

            refused.call.invite()
            assert refused.call.refused().status == 403
            eventually(lambda: daemon.ask("overrides", "list"), "the block in the database")
            (override,) = daemon.ask("overrides", "list")
            assert (override["name"], override["target"], override["applies"]) == ("acme/premium", "destination", True)
            for live in ((), ("--live",)):
                assert daemon.ask(*EXPLAIN, "44101", *live)["result"] == "Number Not Allowed"
                assert daemon.ask(*EXPLAIN, "44701", *live)["result"] == "ok"
            other = ("route", "explain", "--gateway", "poor-pbx", "--caller", "1", "--callee", "44101", "--live")
            assert daemon.ask(*other)["result"] == "ok"
            mobile.hang_up()
            daemon.succeed("account", "unblock", "acme", "--destination", "premium")
            eventually(lambda: not alarms("fraud_suspected"), "the end of the alarm")
            allowed.call.invite()
            allowed.answer(allowed.vendor.expect("INVITE", passing=("BYE", "ACK")))
            [call] = daemon.ask("calls")
            journal = tmp_path / "var" / "journal"
            eventually(lambda: call["call_id"] in acknowledged_in(journal), "a call that was marked as acknowledged")

            daemon.kill()
            daemon.start()
            clock.stand_at(361_000 + 359_000)
            assert stage.status()["calls"] == 1
            clock.stand_at(361_000 + 360_000)
            allowed.customer.reply(allowed.customer.expect("BYE"), 200)
            allowed.vendor.reply(allowed.vendor.expect("BYE", passing=("ACK",)), 200)
        ended, not_allowed = stage.record_of(running.callee), stage.record_of(refused.callee)
        assert (ended["end_reason"], ended["hold_time_s"]) == ("Administrative", 361)
        assert (not_allowed["end_reason"], not_allowed["sip_code"]) == ("Number Not Allowed", 403)
        why = daemon.succeed("cdr", "show", not_allowed["call_id"], "--why")
        assert "account acme may not call premium: blocked by the fraud watch: 6.0 minutes in an hour" in why
        assert "did you mean" in daemon.verb("account", "block", "acme", "--destination", "premum").stderr
