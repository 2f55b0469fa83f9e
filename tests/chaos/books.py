"""Comparison of CDRs, ledger and balances with what the telephones have seen."""

from collections import Counter
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
        records = [record for record in every if record["answered_at"] is not None]
        times = Counter(record["sip_call_id_in"] for record in records)
        answered = phones.answered
        assert {call_id: times[call_id] for call_id in times if times[call_id] != 1} == {}, "booked more than once"
        missing = answered.keys() - times.keys()
        assert not missing, "answered calls without a CDR:\n" + "\n".join(str(answered[each]) for each in missing)
        assert times.keys() - answered.keys() == set(), "CDRs with an answer that the caller never got"
        self.records, self.sharp = len(records), 0
        for record in records:
            self._compare(record, answered[record["sip_call_id_in"]])
        self._daemon.succeed("ledger", "verify")
        paid = sum((Decimal(each["fee"]) + Decimal(each["tax"]) for each in every), Decimal(0))
        cost = sum((Decimal(each["cost"]) for each in every), Decimal(0))
        assert Decimal(self._daemon.ask("account", "show", "acme")["balance"]) == -paid
        assert Decimal(self._daemon.ask("account", "show", "carrier")["balance"]) == -cost

    def _compare(self, record: dict[str, Any], call: Call) -> None:
        source = "caller" if call.is_ended_by_caller else "callee"
        assert (record["end_reason"], record["hangup_source"]) == ("Normal", source), f"{call}\n{record}"
        shortest, longest = call.bounds_s()
        lasted = record["hold_time_ms"] / 1_000
        off = max(shortest - lasted, lasted - longest, 0.0)
        assert off <= _TOLERANCE_S, f"{lasted} s, seen {shortest} to {longest}: {call}\n{record}"
        self.widest_s = max(self.widest_s, off)
        self.sharp += longest - shortest < _TOLERANCE_S
