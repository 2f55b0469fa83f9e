"""A month of 60 customers and 30 vendors: forty faults in the vendors' files are all found, and none is invented."""

import csv
import io
import random
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from contract.conftest import seeded
from doubles.data.builders import account, applied_rate, catalogue, rating_policy, routing_gateway
from doubles.data.records import STARTED, refused_call
from doubles.ended_calls import ended_call
from doubles.office import office_on, operator

from vosd.admin.office.bill_import import ImportBill, import_bill
from vosd.admin.office.reconciliations import ReadDifferences, read_differences
from vosd.base.money import Rounding
from vosd.billing.accounts import AccountType
from vosd.billing.rater import rate_call
from vosd.billing.rates import AppliedRate
from vosd.cdr.columns import iso_utc
from vosd.cdr.record import Attempt, CallRecord
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

VENDORS, CUSTOMERS, CALLS_OF_VENDOR, FAULTS = 30, 60, 25, 43
AMBIGUOUS = 3
"""Faults that chance has put where they are none."""
DAY = 86_400_000
KINDS = (
    "missing_here", "doubled", "missing_there", "duration_differs", "unit_differs", "rate_differs", "rounding_differs",
    "from_invite", "tried",
)  # fmt: skip
CLASS_OF = {"doubled": "missing_here", "from_invite": "duration_differs", "tried": "missing_here"}
TRIED = "our attempt was not answered: 503 Unavailable"
MAP = "columns: {callee: number, start: start, duration: seconds, billed: billed, price: price, caller: from}\n"


class Planted(NamedTuple):
    """A fault: the class that it is to be found as, its number, and what the vendor asks more than is booked."""

    result: str
    number: str
    difference: Decimal
    explanation: str = ""
    """Said of a call that was an attempt of ours; others may have any."""


def price_of(vendor: int) -> str:
    return str(Decimal(100 + 7 * vendor) / 10_000)


def rate_of(vendor: int, unit: int = 1, price: str = "", precision: int = 6) -> AppliedRate:
    rounding = Rounding.UP if precision < 6 else Rounding.HALF_UP
    policy = rating_policy(fee_precision=precision, rounding=rounding)
    return applied_rate(price or price_of(vendor), unit, prefix="44", policy=policy)


def month_of(dice: random.Random) -> dict[int, list[CallRecord]]:
    """Return the calls of each vendor; some numbers are called twice within seconds, by different callers."""
    calls: dict[int, list[CallRecord]] = {}
    index = 0
    for vendor in range(VENDORS):
        calls[vendor] = []
        for _ in range(CALLS_OF_VENDOR):
            index += 1
            held = dice.randrange(2, 900) * 1_000 + dice.choice([0, 130, 480])
            record = ended_call(index, applied_rate("0.60"), rate_of(vendor), held_ms=held)
            begun = STARTED + dice.randrange(30 * DAY)
            number = f"4420{vendor:02}{index:06}"
            if calls[vendor] and dice.random() < 0.15:
                before = calls[vendor][-1]
                begun, number = before.started_at + dice.randrange(-1_500, 1_500), str(before.callee_out)
            shift = begun - record.started_at
            calls[vendor].append(
                msgspec.structs.replace(
                    record,
                    customer_account=f"customer-{index % CUSTOMERS}",
                    vendor_account=f"vendor-{vendor}",
                    callee_out=number,
                    callee_billing=number,
                    started_at=begun,
                    vendor_answered_at=record.ended_at + shift - held,
                    ended_at=record.ended_at + shift,
                )
            )
    return calls


def row(record: CallRecord, rate: AppliedRate, dice: random.Random, extra_ms: int = 0) -> list[str]:
    """Return the honest row of a call by a clock that is off by up to 0.9 s, or one by another rate or duration."""
    answered = record.vendor_answered_at or 0
    charge = rate_call(rate, record.ended_at - answered + extra_ms)
    seconds = str(Decimal(record.ended_at - answered + extra_ms) / 1_000)
    start = iso_utc(answered + dice.randrange(-900, 900))
    return [str(record.callee_out), start, seconds, str(charge.billed_seconds), str(charge.fee), str(record.caller_out)]


def attempt_of(vendor: int, record: CallRecord) -> CallRecord:
    """Return a call that the vendor refused at the time of another one."""
    number = f"4488{str(record.callee_out)[4:]}"
    attempt = Attempt(f"trunk-{vendor}", 503, 900, None, "Unavailable")
    return refused_call(
        record.started_at - STARTED + 7, callee_out=number, callee_billing=number, attempts=(attempt,),
        vendor_account=f"vendor-{vendor}",
    )  # fmt: skip


def plant(kind: str, vendor: int, record: CallRecord, dice: random.Random) -> tuple[list[list[str]], Planted]:
    """Return the rows that the file has of a call, and the fault."""
    honest, number = row(record, rate_of(vendor), dice), str(record.callee_out)
    wrong: list[list[str]]
    match kind:
        case "missing_here":
            invented = [f"4499{number[4:]}", *honest[1:]]
            return [honest, invented], Planted(kind, invented[0], Decimal(invented[4]))
        case "tried":
            attempt = attempt_of(vendor, record)
            billed = [str(attempt.callee_out), iso_utc(attempt.started_at + 800), *honest[2:]]
            return [honest, billed], Planted(CLASS_OF[kind], billed[0], Decimal(billed[4]), TRIED)
        case "doubled":
            return [honest, honest], Planted("missing_here", number, Decimal(honest[4]))
        case "missing_there":
            return [], Planted(kind, number, -record.cost)
        case "duration_differs":
            wrong = [row(record, rate_of(vendor), dice, extra_ms=60_000)]
        case "from_invite":
            ringing = (record.vendor_answered_at or 0) - record.started_at
            wrong = [row(record, rate_of(vendor), dice, extra_ms=ringing)]
        case "unit_differs":
            wrong = [row(record, rate_of(vendor, unit=60), dice)]
        case "rate_differs":
            wrong = [row(record, rate_of(vendor, price=str(Decimal(price_of(vendor)) * 2)), dice)]
        case _:
            wrong = [row(record, rate_of(vendor, precision=3), dice)]
    return wrong, Planted(CLASS_OF.get(kind, kind), number, Decimal(wrong[0][4]) - record.cost)


@seeded(3, 11)
async def test_forty_faults_in_the_files_of_thirty_vendors_are_found_and_none_is_invented(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    calls = month_of(dice)
    await SqlBooks(database).book([each for some in calls.values() for each in some])
    vendors = [account(f"vendor-{vendor}", type=AccountType.CLEARING) for vendor in calls]
    office = office_on(database, *vendors, now=STARTED + 40 * DAY, socket=tmp_path / "s")
    (tmp_path / "map.yaml").write_text(MAP)
    faulty = dice.sample([(vendor, place) for vendor in calls for place in range(CALLS_OF_VENDOR)], FAULTS)
    kind_of = {where: KINDS[number % len(KINDS)] for number, where in enumerate(faulty)}
    tried = [attempt_of(vendor, calls[vendor][place]) for (vendor, place), kind in kind_of.items() if kind == "tried"]
    await SqlBooks(database).book(tried)
    trunks = [routing_gateway(f"trunk-{vendor}", account=f"vendor-{vendor}") for vendor in calls]
    monkeypatch.setattr(office.definitions, "catalogue", lambda: catalogue(trunks))
    kinds, planted_in_all, found_in_all = Counter(kind_of.values()), 0, 0
    assert set(kinds) == set(KINDS)
    for vendor, some in calls.items():
        rows, planted = [], []
        for place, record in enumerate(some):
            kind = kind_of.get((vendor, place))
            if kind is None or _is_none(kind, vendor, record):
                rows.append(row(record, rate_of(vendor), dice))
                continue
            wrong, fault = plant(kind, vendor, record, dice)
            rows += wrong
            planted.append(fault)
        dice.shuffle(rows)
        file = tmp_path / f"{vendor}.csv"
        header = "number,start,seconds,billed,price,from"
        file.write_text("\n".join([header, *(",".join(each) for each in rows)]) + "\n")
        order = ImportBill(
            account=f"vendor-{vendor}", file=str(file), map=str(tmp_path / "map.yaml"), since=STARTED - DAY,
            until=STARTED + 31 * DAY,
        )  # fmt: skip
        made = await import_bill(office, operator(), order, lambda _part, _count: None)
        wanted = ReadDifferences(id=made.id)
        text = "".join([part async for part in read_differences(office, operator(), wanted)])
        found = [
            Planted(
                each["result"],
                each["callee"],
                Decimal(each["difference"]),
                each["explanation"] if each["explanation"].startswith("our attempt") else "",
            )
            for each in csv.DictReader(io.StringIO(text))
        ]
        assert sorted(found) == sorted(planted), f"vendor {vendor}"
        assert Decimal(made.difference) == sum((each.difference for each in planted), Decimal(0))
        planted_in_all, found_in_all = planted_in_all + len(planted), found_in_all + len(found)
    assert planted_in_all == found_in_all >= FAULTS - AMBIGUOUS


def _is_none(kind: str, vendor: int, record: CallRecord) -> bool:
    """Return whether there is no fault: none is wanted, or it cannot be told from an honest row or from another one."""
    if kind == "rounding_differs":
        return record.cost == record.cost.quantize(Decimal("0.001"))
    if kind == "unit_differs":
        answered, by_minutes = record.vendor_answered_at or 0, rate_of(vendor, unit=60)
        from_invite = rate_call(rate_of(vendor), record.ended_at - record.started_at)
        return from_invite.fee == rate_call(by_minutes, record.ended_at - answered).fee
    return False
