"""What a CDR of a scenario must hold: every column, none more."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any
from uuid import UUID

from vosd.cdr.columns import KEYS
from vosd.obs.events import Event
from vosd.routing.failover import OUR_CREDENTIALS

from .addresses import VENDORS
from .stage import CALLER

COLUMNS = frozenset(KEYS)
"""Their names are fixed by ``unit/cdr/test_columns``."""
CYCLE_S = 6
SELL, TAX, BUY = Decimal("0.06"), Decimal("0.006"), Decimal("0.03")
"""Fee, tax and cost of one cycle by ``switch.yaml``."""
HOLD_TIME_PRECISION_MS = 50
"""A fraction of a second of at least so much counts as one."""
ZERO = "0.00"


@dataclass(frozen=True)
class Expected:
    """The columns that a scenario decides; the rest follows from them and is checked too."""

    reason: str
    hangup_source: str
    sip_code: int
    q850_cause: int
    attempts: Sequence[tuple[str, int]] = ()
    """(gateway, code) in the order tried; code 0 = no response."""
    answered: bool = False
    rang: bool = False
    customer: str = "acme"
    rated: bool = True
    columns: Mapping[str, Any] = field(default_factory=dict)
    trunk: str = ""
    """Empty: that of the customer."""

    @property
    def alarms(self) -> Sequence[Event]:
        """Alarms that such a call raises: of vendors that refuse our credentials or want payment."""
        return [Event.ACCOUNT_REFUSED for _, code in self.attempts if code in OUR_CREDENTIALS]


def answered(gateway: str, hangup_source: str = "caller", **changes: Any) -> Expected:
    """Describe a call that ``gateway`` answered and that ended as calls do."""
    given = {"attempts": ((gateway, 200),), "rang": True, **changes}
    return Expected("Normal", hangup_source, 200, 16, answered=True, **given)


def cycles_of(record: Mapping[str, Any]) -> int:
    """Return how many cycles a call is charged for: more than one where a busy machine made it long."""
    return int((Decimal(record["hold_time_s"]) / CYCLE_S).to_integral_value(ROUND_CEILING))


def check(record: Mapping[str, Any], expected: Expected) -> None:
    """Compare one CDR with what its scenario expects."""
    assert set(record) == COLUMNS
    assert record["node"] == "e2e"
    assert UUID(record["call_id"]).version == 7
    assert record["export_seq"] > 0
    assert record["mapping_gateway"] == (expected.trunk or f"{expected.customer}-pbx")
    assert record["customer_account"] == expected.customer
    assert record["caller_in"] == CALLER
    assert record["sip_call_id_in"].startswith("customer-")
    assert (record["end_reason"], record["hangup_source"], record["sip_code"], record["q850_cause"]) == (
        expected.reason,
        expected.hangup_source,
        expected.sip_code,
        expected.q850_cause,
    )
    for column, value in expected.columns.items():
        assert record[column] == value, column
    _check_attempts(record, expected)
    _check_times(record, expected)
    _check_money(record, expected)


def _check_attempts(record: Mapping[str, Any], expected: Expected) -> None:
    attempts = record["attempts"]
    assert [(attempt["gateway"], attempt["code"]) for attempt in attempts] == list(expected.attempts)
    for attempt in attempts:
        of_media = {"media_path", "media_step", "media_fault"}
        assert set(attempt) == {"gateway", "code", "ms", "pdd_ms", "reason", *of_media}
        assert attempt["ms"] >= 0
        assert attempt["reason"]
    if not expected.attempts:
        assert record["routing_gateway"] is None
        assert record["vendor_account"] is None
        assert record["destination_address"] is None
        assert record["sip_call_id_out"] is None
        assert record["callee_out"] is None
        return
    last = expected.attempts[-1][0]
    assert record["routing_gateway"] == last
    assert record["vendor_account"] == "vendors"
    assert record["destination_address"] == str(VENDORS[last])
    assert "customer-" not in record["sip_call_id_out"]
    assert record["callee_out"] == record["callee_in"]
    assert record["caller_out"] == record["caller_in"]


def _check_times(record: Mapping[str, Any], expected: Expected) -> None:
    began, rang, taken, ended = (
        _milliseconds(record[column]) for column in ("started_at", "ringing_at", "answered_at", "ended_at")
    )
    assert began is not None
    assert ended is not None
    assert (rang is not None) == expected.rang
    assert (taken is not None) == expected.answered
    happened = [moment for moment in (began, rang, taken, ended) if moment is not None]
    assert happened == sorted(happened)
    first = rang or taken
    if first is not None:
        # one is measured on the monotonic clock, the other on the wall clock: each cuts its own millisecond
        assert abs(record["pdd_ms"] - (first - began)) <= 1
    assert record["hold_time_ms"] == (ended - taken if taken is not None else 0)
    whole, fraction = divmod(record["hold_time_ms"], 1000)
    assert record["hold_time_s"] == whole + (fraction >= HOLD_TIME_PRECISION_MS)


def _check_money(record: Mapping[str, Any], expected: Expected) -> None:
    assert record["currency"] == "USD"
    if expected.rated:
        assert (record["rate_group"], record["rate_prefix"]) == ("sell", "44")
        assert record["rate_area"] == "United Kingdom"
        assert record["callee_billing"] == record["callee_in"].removeprefix("+")
    if not expected.answered:
        assert [record[column] for column in ("fee", "tax", "cost", "cost_tax")] == [ZERO] * 4
        assert record["billed_seconds"] == record["vendor_billed_seconds"] == 0
        assert record["codec"] is None
        return
    cycles = cycles_of(record)
    assert record["billed_seconds"] == record["vendor_billed_seconds"] == cycles * CYCLE_S
    assert Decimal(record["fee"]) == cycles * SELL
    assert Decimal(record["tax"]) == cycles * TAX
    assert Decimal(record["cost"]) == cycles * BUY
    assert record["cost_tax"] == ZERO
    assert record["vendor_rate_prefix"] == "44"
    assert record["codec"] == expected.columns.get("codec", "PCMU")
    breakdown = record["fee_breakdown"]
    assert json.loads(breakdown) if isinstance(breakdown, str) else breakdown


def _milliseconds(text: str | None) -> int | None:
    if text is None:
        return None
    assert text.endswith("Z")
    assert len(text) == len("2026-01-01T00:00:00.000Z")
    return round(datetime.fromisoformat(text).timestamp() * 1000)
