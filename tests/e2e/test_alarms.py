"""A vendor that dies and comes back, as an alarm to a webhook and in ``vosd alarms``."""

from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from doubles.daemon import Daemon
from doubles.quick_alarms import margins_soon, soon
from doubles.report_server import ReportServer
from doubles.sockets.peer import Peer

from vosd.obs.events import Event

from .addresses import ALARM_SERVER, ALARMING_SWITCH, VENDORS
from .conditions import eventually
from .expectations import BUY, SELL, cycles_of
from .stage import Caller, Stage, Vendor, configuration

SHORT = "short_calls: {percent: 50, min_calls: 1}"
LIMITS = (
    f"\nalarms: {{margin: 60, prefix_margin: 60, min_calls: 1, asr: 0, customer_asr: 80, without_cdr: 1, {SHORT}}}\n"
)
NO_CDR = "parameters:\n  SERVER_BILLING_NO_CDR_E164S: '4419*'\n"


def of_vendor(server: ReportServer, state: str) -> dict[str, Any] | None:
    """Return the report about the vendor, once it has come."""
    found = [each for each in server.taken() if each["alarm"] == "gateway_down" and each["state"] == state]
    return found[0] if found else None


def test_a_vendor_that_dies_and_comes_back_is_an_alarm_that_is_raised_and_cleared(tmp_path: Path) -> None:
    secret = tmp_path / "alarms.secret"
    secret.touch(0o600)
    secret.write_text("signs alarms\n")
    text = configuration("alarms.yaml", ALARMING_SWITCH).replace("$server", str(ALARM_SERVER))
    with (
        ReportServer(ALARM_SERVER, b"signs alarms", "/alarms") as server,
        Daemon(tmp_path, text, prepare=soon) as daemon,
    ):
        server.fails = [503]  # as a server that restarts does
        raised = eventually(lambda: of_vendor(server, "raised"), "the alarm is reported")
        assert {name: raised[name] for name in ("node", "state", "alarm", "subject", "level", "dropped")} == {
            "node": "e2e", "state": "raised", "alarm": "gateway_down", "subject": "carrier-asked",
            "level": "critical", "dropped": 0,
        }  # fmt: skip
        held = daemon.ask("alarms")
        assert "gateway_down" in {each["alarm"] for each in held}
        with Peer(VENDORS["carrier-asked"]) as vendor:

            def is_cleared() -> dict[str, Any] | None:
                request = vendor.receive(0.1)
                if request is not None and request.method == "OPTIONS":
                    vendor.reply(request, 200, tag="there")
                return of_vendor(server, "cleared")

            cleared = eventually(is_cleared, "the end of the alarm is reported")
        assert (cleared["subject"], cleared["since"]) == ("carrier-asked", raised["since"])
        past = daemon.ask("alarms", "--history")
        assert "gateway_down" in {each["alarm"] for each in past}
        assert server.attempts > len(server.taken())
        assert server.faults == []


def test_calls_that_leave_too_little_are_an_alarm_in_all_and_by_their_prefix(tmp_path: Path) -> None:
    text = configuration("quality.yaml", ALARMING_SWITCH).replace("parameters:\n", NO_CDR) + LIMITS
    with Daemon(tmp_path, text, prepare=margins_soon) as daemon:
        expected = (Event.MARGIN_LOW, Event.PREFIX_MARGIN_LOW, Event.SHORT_CALLS, Event.WITHOUT_CDR_HIGH,
                    Event.CUSTOMER_ASR_LOW)  # fmt: skip
        stage = Stage(daemon, ALARMING_SWITCH, *expected)
        eventually(lambda: stage.status()["machine"]["memory_percent"], "the first check, which calls are counted from")
        record = stage.call(Caller("hangs_up"), "4410", [Vendor("carrier-a", "answers")])
        assert [Decimal(record[name]) / cycles_of(record) for name in ("fee", "cost")] == [SELL, BUY]
        assert record["rate_prefix"] == "44"

        def low() -> dict[str, str]:
            held = daemon.ask("alarms")
            return {each["alarm"]: each["subject"] for each in held if each["alarm"].endswith("margin_low")}

        eventually(lambda: len(low()) == 2, "both alarms")
        assert low() == {"margin_low": "USD", "prefix_margin_low": "44 USD"}

        def short() -> set[str]:
            held = daemon.ask("alarms")
            return {each["subject"] for each in held if each["alarm"] == "short_calls"}

        eventually(lambda: short() == {"carrier-a *", "carrier-a 44"}, "a talk of 0.2 s is an alarm")
        (call,) = daemon.ask("why", "--call-id", record["call_id"])["calls"]
        assert "carrier-a answered" in call["headline"]
        assert "sooner than anyone can" in call["headline"]
        caller, callee = Caller("hangs_up"), stage.number("4419")
        with (
            stage.vendor(Vendor("carrier-a", "answers"), callee),
            stage.caller(caller, callee, stage.endpoint_of(caller.customer)) as calling,
        ):
            calling.wait()

        def has_left_none() -> bool:
            return "without_cdr_high" in {each["alarm"] for each in daemon.ask("alarms")}

        eventually(has_left_none, "the call that left no CDR is an alarm")
        stage.call(Caller("is_refused", {"status": "403", "cause": "21", "reason": "No Matching Rate"}), "99")

        def failing() -> set[str]:
            held = daemon.ask("alarms")
            return {each["subject"] for each in held if each["alarm"] == "customer_asr_low"}

        eventually(lambda: failing() == {"acme-pbx"}, "that one of three calls fails is an alarm")


class LoggedLines:
    """A daemon that has logged something."""

    def __init__(self, *lines: dict[str, Any]) -> None:
        self._lines = lines

    def log(self, after: int = 0) -> list[dict[str, Any]]:
        return [*self._lines[after:]]


def test_an_alarm_that_a_test_does_not_expect_fails_it_and_those_of_a_busy_machine_do_not() -> None:
    lines = [{"event": event, "level": "warning"} for event in ("loop_late", "gateway_resting", "loss_calls")]

    def stage_of(count: int, *alarms: Event) -> Stage:
        return Stage(cast("Daemon", LoggedLines(*lines[:count])), ALARMING_SWITCH, *alarms)

    stage_of(1).expect_clean_log()
    with pytest.raises(AssertionError, match="gateway_resting"):
        stage_of(2).expect_clean_log()
    stage_of(2, Event.GATEWAY_RESTING).expect_clean_log()
    with pytest.raises(AssertionError, match="loss_calls"), stage_of(3).expecting(Event.GATEWAY_RESTING):
        pass
