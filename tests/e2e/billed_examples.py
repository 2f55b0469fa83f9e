"""Worked examples of tests/vectors/billing.json as real calls: what each needs configured, does, and must leave behind.

Each has an account, a rate group, a trunk, a vendor and a vendor's account of its own. Where an example says nothing of
money, a second costs 1; a parameter that it does not state is VOS3000's, which rounds to cents.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

VECTORS: Final = {
    each["id"]: each
    for each in json.loads((Path(__file__).parents[1] / "vectors" / "billing.json").read_text())["vectors"]
}
_UNIT: Final = "SERVER_BILLING_FEE_UNIT"
_RECORDS: Final = "SERVER_BILLING_RECORD_SERVER_HANG_UP"
NIGHTLY: Final = {"88017": ("0.012", "0.008"), "44": ("0.008", "0.004")}
"""Prices by day and by night of the prefixes that have both."""
BEGIN: Final = "2026-02-02T17:59:00Z"
"""When the first calls begin: a minute before the end of a working day, which some examples are about."""
A_SECOND: Final = {"billing_rate": "60", "billing_cycle": 1}
BUY: Final = {"prefix": "*", "billing_rate": "0.60", "billing_cycle": 1}
"""A cent a second, for whole seconds by the usual threshold of 50 ms."""


@dataclass(frozen=True)
class Dialled:
    """One call, and the columns that its record must have; ``refused`` is the status of one that finds no vendor."""

    columns: Mapping[str, Any]
    talk_ms: int = 60_000
    ring_ms: int = 0
    at_ms: int = 0
    ends: str = "caller"
    answered: bool = True
    refused: int | None = None

    @property
    def total(self) -> Decimal:
        """What the customer pays."""
        return Decimal(self.columns.get("fee", 0)) + Decimal(self.columns.get("tax", 0))

    @property
    def vendor_s(self) -> int:
        """How many seconds the vendor is paid for, unless the example has a vendor's rate."""
        return (self.talk_ms + 950) // 1_000 if self.answered and self.refused is None else 0


@dataclass(frozen=True)
class Example:
    """One example."""

    calls: tuple[Dialled, ...]
    number: str = "4412345678"
    rates: tuple[Mapping[str, Any], ...] = ({"prefix": "*", **A_SECOND},)
    group: Mapping[str, Any] = field(default_factory=dict)
    account: Mapping[str, Any] = field(default_factory=dict)
    gateway: Mapping[str, Any] = field(default_factory=dict)
    buy: Mapping[str, Any] = field(default_factory=lambda: BUY)
    leaves_records: bool = True


def _group(given: Mapping[str, Any], places: int = 2) -> dict[str, Any]:
    """Return how a group rounds by the parameters of an example."""
    precision = given.get("SERVER_BILLING_FEE_PRECISTION", places)
    keys = {
        "fee_precision": precision,
        "fee_unit": given.get("SERVER_BILLING_FEE_UNIT", str(Decimal(1).scaleb(-precision))),
        "hold_time_precision": given.get("SERVER_BILLING_HOLD_TIME_PRECISION"),
        "free_time": given.get("SERVER_BILLING_FREE_TIME"),
    }
    return {name: value for name, value in keys.items() if value is not None}


def _rate(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rate of an example that states one, or a unit."""
    keys = {
        "prefix": "*",
        "billing_rate": given.get("rate_per_min") or given.get("sell_rate_per_min") or given.get("billing_rate", "60"),
        "billing_cycle": given.get("billing_unit_s") or given.get("billing_cycle_s", 1),
        "first_rate": given.get("first_time_rate"),
        "first_duration": given.get("first_time_duration_s"),
        "tax_rate": given.get("tax_rate_percent"),
        "connection_fee": given.get("connection_fee"),
    }
    return {name: value for name, value in keys.items() if value is not None}


Given = Mapping[str, Any]


def _rounded(given: Given, expect: Given) -> Example:
    call = Dialled({"fee": expect["fee"], "billed_seconds": 60})
    rate = {"prefix": "*", "billing_rate": given["raw_fee"], "billing_cycle": 60}
    return Example((call,), rates=(rate,), group=_group(given))


def _held(given: Given, expect: Given) -> Example:
    seconds = expect["hold_time_s"]
    columns = {"hold_time_ms": given["duration_ms"], "hold_time_s": seconds, "billed_seconds": seconds, "fee": seconds}
    return Example((Dialled(columns, given["duration_ms"]),), group=_group(given))


def _free_time(given: Given, expect: Given) -> Example:
    billed = expect.get("billed_seconds_unit1", expect["after_free_time_s"])
    columns = {"hold_time_s": given["duration_s"], "billed_seconds": billed, "fee": billed}
    return Example((Dialled(columns, 1_000 * given["duration_s"]),), group=_group(given))


def _order(given: Given, expect: Given) -> Example:
    billed = expect.get("billable_s", expect.get("billed_s"))
    call = Dialled({"billed_seconds": billed, "fee": billed}, given["duration_ms"])
    return Example((call,), rates=(_rate({**given, "billing_rate": "60"}),), group=_group(given))


def _unit(given: Given, expect: Given) -> Example:
    call = Dialled({"billed_seconds": expect["billed_s"], "fee": expect["billed_s"]}, 1_000 * given["duration_s"])
    return Example((call,), rates=(_rate(given),), group=_group(given))


def _two_units(given: Given, expect: Given) -> Example:
    columns = {"billed_seconds": expect["client_billed_s"], "vendor_billed_seconds": expect["vendor_billed_s"]}
    rate = {"prefix": "*", "billing_rate": "60", "billing_cycle": given["client_unit_s"]}
    call = Dialled({**columns, "fee": expect["client_billed_s"]}, 1_000 * given["duration_s"])
    return Example((call,), rates=(rate,), group=_group(given), buy={**BUY, "billing_cycle": given["vendor_unit_s"]})


def _formula(given: Given, expect: Given) -> Example:
    call = Dialled({"billed_seconds": expect["billed_s"], "fee": expect["fee_5dp"]}, 1_000 * given["duration_s"])
    return Example((call,), rates=(_rate(given),), group=_group(given, places=5))


def _record_fields(given: Given, expect: Given) -> Example:
    columns = {
        "hold_time_s": expect["duration_field_s"],
        "billed_seconds": expect["billed_duration_field_s"],
        "fee": expect["fee"],
    }
    return Example((Dialled(columns, 1_000 * given["duration_s"]),), rates=(_rate(given),), group=_group(given, 4))


def _first_period(given: Given, expect: Given) -> Example:
    places = 3 if "SERVER_BILLING_FEE_PRECISTION" not in given else 2
    call = Dialled({"fee": expect["fee"], "tax": expect["tax"]}, 1_000 * given["duration_s"])
    return Example((call,), rates=(_rate(given),), group=_group(given, places))


def _sections(given: Given, expect: Given) -> Example:
    written = ";".join(f"{amount}@{until_s}" for amount, until_s in given["sections"])
    group = {**_group(given), "section_cap": "yes" if given["cap_to_next_section"] else "no"}
    call = Dialled({"fee": expect["fee"]}, 1_000 * given["duration_s"])
    return Example((call,), rates=({**_rate(given), "sections": written},), group=group)


def _match(given: Given, expect: Given) -> Example:
    rates = tuple({"prefix": prefix, **A_SECOND} for prefix in given["prefixes"])
    prefix = expect["matched_prefix"]
    if prefix is None:
        return Example((_unrated(),), number=given["called"], rates=rates)
    return Example((Dialled({"rate_prefix": prefix, "fee": 60}),), number=given["called"], rates=rates)


def _unrated() -> Dialled:
    return Dialled({"fee": 0, "end_reason": "No Matching Rate", "rate_prefix": None}, refused=403)


def _strip(given: Given, expect: Given) -> Example:
    gateway = {"billing_strip_digits": given["SERVER_BILLING_GATEWAY_ROUTE_PREFIX"]}
    rates, number = ({"prefix": "44", **A_SECOND}, {"prefix": "1", **A_SECOND}), expect["billing_number"]
    columns = {"callee_billing": number}
    prefix = next((each for each in ("44", "1") if number.startswith(each)), None)
    if prefix is None:
        call = Dialled({**_unrated().columns, **columns}, refused=403)
    else:
        call = Dialled({**columns, "rate_prefix": prefix, "fee": 60})
    return Example((call,), number=given["called"], rates=rates, gateway=gateway)


def _precedence(given: Given, expect: Given) -> Example:
    if not expect["cdr"]:
        return Example((Dialled({}, 10_000),), number=given["called"], leaves_records=False)
    columns = {"fee": Decimal(expect["fee"]), "rate_group": "free number", "billed_seconds": given["duration_s"]}
    rates = tuple({"prefix": prefix, "billing_rate": rate} for prefix, rate in given["rate_table"].items())
    return Example((Dialled(columns, 1_000 * given["duration_s"]),), number=given["called"], rates=rates)


def _connection(given: Given, expect: Given) -> Example:
    call = Dialled({"fee": expect["fee"]}, 1_000 * given["duration_s"], 5_000, answered=given["answered"])
    return Example((call,), rates=(_rate(given),), group=_group(given))


def _profit(given: Given, expect: Given) -> Example:
    columns = {"fee": expect["income"], "cost": expect["cost"]}
    buy = {"prefix": "*", "billing_rate": given["buy_rate_per_min"], "billing_cycle": given["billing_unit_s"]}
    call = Dialled(columns, 1_000 * given["duration_s"])
    return Example((call,), rates=(_rate(given),), group=_group(given, 3), buy=buy)


def _start(given: Given, expect: Given) -> Example:
    billed, talk_s = expect["billed_s"], given.get("talk_s", 0)
    columns = {"hold_time_s": talk_s, "billed_seconds": billed, "fee": billed}
    call = Dialled(columns, 1_000 * talk_s, 1_000 * given["ring_s"], answered=given["answered"])
    return Example((call,), rates=(_rate(given),), group=_group(given))


def _who_ends(given: Given, _expect: Given) -> Example:
    who = given["hangup_source"]
    return Example((Dialled({"hangup_source": who, "billed_seconds": 7, "fee": 7}, 7_000, ends=who),))


def _overdraft(given: Given, expect: Given) -> Example:
    rate, attempts = {"prefix": "*", "billing_rate": given["rate_per_min"], "billing_cycle": 1}, given["attempts"]
    carried, refused = {"fee": given["rate_per_min"]}, {"fee": 0, "end_reason": "Insufficient Balance"}
    account = {
        "overdraft_limit": given["overdraft"],
        "advance_minutes": given["SERVER_BILLING_PREVENT_OVERDRAFT_ADVANCE_TIME"],
    }
    calls = tuple(
        Dialled(carried, at_ms=number) if number < expect["admitted"] else Dialled(refused, at_ms=number, refused=402)
        for number in range(attempts)
    )
    return Example(calls, rates=(rate,), account=account)


def _by_day_and_night(given: Given, expect: Given) -> Example:
    rate = {"prefix": given["prefix"], "billing_rate": given["day_rate"]}
    calls = tuple(
        Dialled({"rate_group": name, "fee": expect[f"rate_{at}"]}, at_ms=at_ms)
        for at, at_ms, name in (("17:59", 0, "day"), ("18:01", 120_000, "night"))
    )
    account = {"period_rates": "tariff", "rate_selection": "priority"}
    return Example(calls, number=f"{given['prefix']}12345678", rates=(rate,), group=_group(given), account=account)


def _at_work(given: Given, expect: Given) -> Example:
    hours, minutes = map(int, given["at"].partition("T")[2].split(":")[:2])
    at_ms = 60_000 * (60 * hours + minutes - 60 * 17 - 59)
    name, fee = ("day", "0.008") if expect["period"] == "working" else ("night", "0.004")
    account = {"period_rates": "tariff", "rate_selection": "priority"}
    return Example((Dialled({"rate_group": name, "fee": fee}, 5_000, at_ms=at_ms),), account=account)


Makes = Callable[[Given, Given], Example]


def _of(make: Makes, rule: str, where: Callable[[Given], bool] = lambda given: True, most: int = 100) -> None:
    """Make the first examples of a rule, at most so many."""
    names = [name for name, each in VECTORS.items() if each["rule"] == rule and where(each["given"])][:most]
    assert names, f"no example has the rule {rule}"
    _MADE.update({name: make(VECTORS[name]["given"], VECTORS[name]["expect"]) for name in names})


_MADE: Final[dict[str, Example]] = {}
_of(_rounded, "fee_round", most=6)
_of(_rounded, "fee_round", lambda given: (given["SERVER_BILLING_FEE_PRECISTION"], given[_UNIT]) == (3, "0.01"))
_of(_held, "hold_time")
_of(_free_time, "free_time", most=5)
_of(_order, "order", most=3)
_of(_unit, "billing_unit", most=4)
_of(_two_units, "billed_difference")
_of(_formula, "fee_formula", most=3)
_of(_record_fields, "cdr_fields")
_of(_first_period, "first_time_tax")
_of(_first_period, "first_time_tax_rounded")
_of(_sections, "section_rate", most=4)
_of(_match, "longest_prefix")
_of(_strip, "strip_prefix")
_of(_precedence, "free_precedence")
_of(_connection, "connection_fee")
_of(_profit, "profit")
_of(_start, "start_billing", lambda given: given["SS_STARTBILLINGTIME"] == 0)
_of(_who_ends, "record_server_hang_up", lambda given: given["hangup_source"] != "server" and given[_RECORDS] == 1)
_of(_overdraft, "overdraft_admit", lambda given: Decimal(given["balance"]) == 0)
_of(_by_day_and_night, "period_rate_tables", lambda given: given["prefix"] in NIGHTLY)
_of(_at_work, "calendar_period", lambda given: "2026-02-02T17:59:00" <= given["at"] <= "2026-02-02T18:01:00")
EXAMPLES: Final[Mapping[str, Example]] = _MADE
"""By the name of the vector."""
