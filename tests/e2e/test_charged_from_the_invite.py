"""Billing from the INVITE: a call that rings when the daemon is killed is in the books of the next start."""

from decimal import Decimal
from pathlib import Path

from doubles.daemon import Daemon
from doubles.moved_clock import MovedClock, follow

from .addresses import EXEMPLARY_SWITCH
from .conversation import conversing
from .stage import Stage, configuration

PARAMETERS = "parameters: {SS_STARTBILLINGTIME: 1}\n"


def test_calls_that_ring_are_charged_and_a_kill_does_not_lose_them(tmp_path: Path) -> None:
    clock = MovedClock(tmp_path, 1_790_000_000_000)
    text = PARAMETERS + configuration("switch.yaml", EXEMPLARY_SWITCH)
    with Daemon(tmp_path, text, prepare=follow) as daemon:
        stage = Stage(daemon, EXEMPLARY_SWITCH)
        stage.pay("acme", "100")
        with conversing(stage, "4410", "4410", "4410") as (left, killed, last):
            left.call.invite()
            invite = left.vendor.expect("INVITE")
            left.vendor.reply(invite, 180, tag="left")
            left.customer.expect(180)
            clock.stand_at(20_000)
            left.call.send(left.call.request("CANCEL", branch="INVITE"))
            left.customer.expect(487, passing=(200,))
            left.vendor.reply(left.vendor.expect("CANCEL"), 200)
            left.vendor.reply(invite, 487, tag="left")
            left.vendor.expect("ACK")

            killed.call.invite()
            killed.vendor.reply(killed.vendor.expect("INVITE"), 180, tag="killed")
            killed.customer.expect(180)
            clock.stand_at(50_000)
            last.call.invite()  # what the journal has of this one says how late it is
            last.vendor.expect("INVITE", passing=("CANCEL",))
            daemon.kill()
            daemon.start()
            assert killed.customer.expect(503)["CSeq"] == "1 INVITE"

            assert charged(stage.record_of(left.callee)) == ("Cancelled", 20_000, 24, "0.24", "0.024", "0.12")
            assert charged(stage.record_of(killed.callee)) == ("Lost", 30_000, 30, "0.30", "0.03", "0.15")
            assert charged(stage.record_of(last.callee)) == ("Lost", 0, 0, "0.00", "0.00", "0.00")
        daemon.succeed("ledger", "verify")
        assert stage.balance_of("acme") == Decimal(100) - Decimal("0.264") - Decimal("0.33")
        assert stage.balance_of("vendors") == Decimal("-0.27")
        again = ("rerate", "--since", "2026-01-01T00:00:00Z", "--until", "2027-01-01T00:00:00Z", "--steps")
        daemon.configure(text.removeprefix(PARAMETERS))
        outcome = daemon.ask(*again)
        assert (outcome["calls"], outcome["steps_differ"], outcome["differ"]) == (3, 0, 0)


def charged(record: dict[str, object]) -> tuple[object, ...]:
    """Return how a call ended, and what was charged for it."""
    names = ("end_reason", "billing_base_ms", "billed_seconds", "fee", "tax", "cost")
    return tuple(record[name] for name in names)
