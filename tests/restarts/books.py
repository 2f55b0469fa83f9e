"""What the switch has booked, compared with what the parties have seen; charges are computed here once more."""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from doubles.daemon import Daemon
from e2e.conditions import eventually

from .calls import LASTS_S, Call, End

_TOLERANCE_S: Final = 1.0
_PATIENCE_S: Final = 60.0
_PRECISION_MS: Final = 50
"""A fraction of a second of at least so much is one more."""
_CYCLES_S: Final = {"44": 6, "7": 1}
_PER_S: Final = {"44": Decimal("0.01"), "7": Decimal("0.001")}
_TAX: Final = {"44": Decimal("0.1"), "7": Decimal(0)}
_COST_PER_S: Final = Decimal("0.005")


class Books:
    """The records and balances of one switch."""

    def __init__(self, daemon: Daemon, paid: Mapping[str, Decimal]) -> None:
        self._daemon = daemon
        self._paid = paid

    def compare(self, calls: Sequence[Call], figures: dict[str, Any]) -> None:
        """Require one true record for each call, its money on the right accounts, and that nothing is held any more."""
        eventually(self._is_quiet, lambda: f"nothing is left: {self._daemon.ask('status')}", _PATIENCE_S)
        records = {
            record["sip_call_id_out"]: record for record in self._daemon.ask("cdr", "list", "--limit", "1000000")
        }
        made = [call for call in calls if call.callee is not None]
        assert len(records) == len(made) == len(calls)
        widest_s, reasons = 0.0, Counter[str]()
        for call in made:
            assert call.callee is not None
            record = records[call.callee.call_id]
            reasons[f"{record['end_reason']} by {record['hangup_source']}"] += 1
            self._compare_parties(call, record)
            widest_s = max(widest_s, self._compare_duration(call, record))
            _compare_money(record)
        figures["ends"] = dict(reasons)
        figures["widest_ms"] = round(1_000 * widest_s)
        self._compare_balances(list(records.values()))

    def _is_quiet(self) -> bool:
        status = self._daemon.ask("status")
        return not any(status[name] for name in ("calls", "legs", "dialogs", "holds", "cdr_queue", "spool_rows"))

    def _compare_parties(self, call: Call, record: Mapping[str, Any]) -> None:
        assert record["routing_gateway"] == call.routing_gateway, (str(call), record)
        assert record["mapping_gateway"] == call.mapping_gateway, (str(call), record)
        if not call.is_transferred:
            assert call.caller is not None
            assert record["sip_call_id_in"] == call.caller.call_id
        if call.end not in {End.CALLER, End.CALLEE}:
            assert (record["end_reason"], record["hangup_source"]) == (call.end.value, "switch"), (str(call), record)
            return
        assert record["end_reason"] == "Normal", (str(call), record)
        if call.joined is None:
            assert record["hangup_source"] == call.end.value, (str(call), record)
        else:
            by_callee = call.callee is not None and call.callee.bye_at is not None
            assert record["hangup_source"] == ("callee" if by_callee else "caller"), (str(call), record)

    def _compare_duration(self, call: Call, record: Mapping[str, Any]) -> float:
        """Return by how much the duration is outside of what the parties have seen."""
        lasted_s = record["hold_time_ms"] / 1_000
        ended = [side for side in call.ends if side.bye_at is not None]
        first = call.callee if call.is_transferred else call.caller
        assert first is not None
        assert first.answered_at is not None
        if ended:
            assert ended[0].bye_at is not None
            assert ended[0].bye_confirmed_at is not None
            bounds = ended[0].bye_at - first.answered_at, ended[0].bye_confirmed_at - first.answered_at
        else:
            told = min(side.told_at for side in call.ends if side.told_at is not None)
            bounds = _shortest_s(call, told - first.answered_at), told - first.answered_at
        off_s = max(bounds[0] - lasted_s, lasted_s - bounds[1], 0.0)
        assert off_s <= _TOLERANCE_S, f"{lasted_s} s, seen {bounds}: {call}\n{record}"
        return off_s

    def _compare_balances(self, records: Sequence[Mapping[str, Any]]) -> None:
        self._daemon.succeed("ledger", "verify")
        booked: dict[str, Decimal] = {}
        for record in records:
            account = record["customer_account"]
            booked[account] = booked.get(account, Decimal(0)) - Decimal(record["fee"]) - Decimal(record["tax"])
            if record["vendor_account"]:
                vendor = record["vendor_account"]
                booked[vendor] = booked.get(vendor, Decimal(0)) - Decimal(record["cost"])
        for account, amount in booked.items():
            shown = self._daemon.ask("account", "show", account)
            assert Decimal(shown["balance"]) == amount + self._paid.get(account, Decimal(0)), account
            assert Decimal(shown["reserved"]) == 0, account


def _shortest_s(call: Call, seen_s: float) -> float:
    """Return the least duration of a call that its limit has ended: it may be noticed after the switch was away."""
    return min(seen_s, LASTS_S.get(call.end, seen_s))


def _compare_money(record: Mapping[str, Any]) -> None:
    """Compute the charges once more."""
    prefix = "44" if record["callee_in"].startswith("44") else "7"
    talked_s = _seconds(record["hold_time_ms"])
    cycle_s = _CYCLES_S[prefix]
    billed_s = -(-talked_s // cycle_s) * cycle_s
    fee = billed_s * _PER_S[prefix]
    assert record["billed_seconds"] == billed_s, record
    assert Decimal(record["fee"]) == fee, record
    assert Decimal(record["tax"]) == fee * _TAX[prefix], record
    cost = Decimal(0)
    if record["vendor_account"]:
        cost = record["vendor_billed_seconds"] * _COST_PER_S
        # The vendor has answered before the caller was told so.
        assert talked_s <= record["vendor_billed_seconds"] <= talked_s + 2, record
    assert Decimal(record["cost"]) == cost, record


def _seconds(ms: int) -> int:
    return ms // 1_000 + (ms % 1_000 >= _PRECISION_MS)
