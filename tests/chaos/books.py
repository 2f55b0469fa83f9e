"""Comparison of CDRs, ledger and balances with what the telephones have seen."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from doubles.daemon import Daemon

from .calls import Call
from .telephones import Telephones

_TOLERANCE_S: Final = 1.0


class Books:
    """The books of one switch."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.records = 0
        """CDRs of answered calls at the latest comparison."""
        self.transfers = 0
        """Completed transfers."""
        self.widest_s = 0.0
        """The largest difference between a CDR's duration and what both sides have seen."""
        self.sharp = 0
        """How many calls neither began nor ended while the switch was away: both sides agree on their duration."""

    @property
    def are_quiet(self) -> bool:
        """Whether no call is left, and nothing waits for the database."""
        status = self._daemon.ask("status")
        left = ("calls", "legs", "cdr_queue", "spool_rows")
        return status["database"]["state"] == "well" and not any(status[name] for name in left)

    def compare(self, phones: Telephones) -> None:
        """Compare all calls and all money.

        Raises:
            AssertionError: something differs.
        """
        every: list[dict[str, Any]] = self._daemon.ask("cdr", "list", "--limit", "1000000")
        answered = phones.answered
        records: list[dict[str, Any]] = []
        targets: list[dict[str, Any]] = []
        for record in every:
            if record["answered_at"] is not None:
                (targets if _is_to_target(record, answered) else records).append(record)
        times = Counter(record["sip_call_id_in"] for record in records)
        assert {call_id: times[call_id] for call_id in times if times[call_id] != 1} == {}, "booked more than once"
        missing = answered.keys() - times.keys()
        assert not missing, "answered calls without a CDR:\n" + "\n".join(str(answered[each]) for each in missing)
        assert times.keys() - answered.keys() == set(), "CDRs with an answer that the caller never got"
        self.records, self.sharp = len(records), 0
        for record in records:
            self._compare(record, answered[record["sip_call_id_in"]])
        self._compare_targets(targets, answered)
        self._daemon.succeed("ledger", "verify")
        paid = sum((Decimal(each["fee"]) + Decimal(each["tax"]) for each in every), Decimal(0))
        cost = sum((Decimal(each["cost"]) for each in every), Decimal(0))
        assert Decimal(self._daemon.ask("account", "show", "acme")["balance"]) == -paid
        assert Decimal(self._daemon.ask("account", "show", "carrier")["balance"]) == -cost

    def _compare_targets(self, records: list[dict[str, Any]], answered: Mapping[str, Call]) -> None:
        """Compare the second calls of transfers: one for each that was completed, its end that of the first."""
        times = Counter(record["sip_call_id_in"] for record in records)
        assert {call_id: times[call_id] for call_id in times if times[call_id] != 1} == {}, "booked more than once"
        completed = {call_id for call_id, call in answered.items() if call.is_transferred}
        assert completed - times.keys() == set(), "completed transfers without a CDR of the second call"
        self.transfers = len(completed)
        for record in records:
            call = answered[record["sip_call_id_in"]]
            if call.is_transferred:
                assert record["end_reason"] == "Normal", f"{call}\n{record}"
                began = max(leg.answered_at for leg in call.targets if leg.answered_at is not None)
                assert call.bye_at is not None
                assert call.bye_confirmed_at is not None
                lasted = record["hold_time_ms"] / 1_000
                assert lasted <= call.bye_confirmed_at - began + _TOLERANCE_S, f"{lasted} s: {call}\n{record}"

    def _compare(self, record: dict[str, Any], call: Call) -> None:
        if call.has_left_transfer:  # the switch may have seen either end, and a kill meanwhile loses the call (ADR 67)
            assert record["end_reason"] in {"Normal", "Lost"}, f"{call}\n{record}"
            return
        source = "caller" if call.is_ended_by_caller else "callee"
        assert (record["end_reason"], record["hangup_source"]) == ("Normal", source), f"{call}\n{record}"
        shortest, longest = call.bounds_s()
        lasted = record["hold_time_ms"] / 1_000
        off = max(shortest - lasted, lasted - longest, 0.0)
        assert off <= _TOLERANCE_S, f"{lasted} s, seen {shortest} to {longest}: {call}\n{record}"
        self.widest_s = max(self.widest_s, off)
        self.sharp += longest - shortest < _TOLERANCE_S


def _is_to_target(record: dict[str, Any], answered: Mapping[str, Call]) -> bool:
    call = answered.get(record["sip_call_id_in"])
    return call is not None and record["callee_in"] == call.target
