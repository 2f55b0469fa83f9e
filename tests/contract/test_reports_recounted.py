"""Every report, compared with one that is made plainly of the calls: random traffic, with corrections."""

import json
import random
from collections import defaultdict
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import msgspec
import pytest
from doubles.data.builders import account
from doubles.data.records import STARTED, answered_call, call_id, charge_row, refused_call
from doubles.ledger_entries import entries_of
from doubles.office import agent as agent_of

from vosd.admin.names import UnknownNameError
from vosd.admin.office import reports
from vosd.admin.office.principal import ALL, Means, OrderError, Principal, Role, scope_of
from vosd.admin.office.records import ListRecords, list_records
from vosd.admin.office.reports import ShowReport, TooManyRowsError, TooManyToReadError, show_report
from vosd.admin.office.rerating import Run, RunBookings
from vosd.billing.agents import Hierarchy
from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR, Attempt
from vosd.storage.books import SqlBooks
from vosd.storage.corrections import SqlCorrections
from vosd.storage.payments import SqlPayments
from vosd.storage.ports import EntryKind, Payment
from vosd.storage.queries import calls_with_ids
from vosd.storage.stores import SqlStores
from vosd.storage.traffic import SqlTraffic
from vosd.traffic.counted import TrafficKind
from vosd.traffic.live_counts import AttemptsWithoutCdr, LiveCounts, PeakSide, TrafficPeak
from vosd.traffic.reports import REPORTS

HOUR = 3_600_000
BEGIN = 1_792_800_000_000 // HOUR * HOUR  # 24 October 2026: summer time of Europe ends in the night to the 25th
SINCE, UNTIL = BEGIN, BEGIN + 60 * HOUR
NOW = BEGIN + 30 * 24 * HOUR
ROOT = Principal(role=Role.OPERATOR, name="root", login="root", means=Means.TERMINAL, permissions=ALL)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURRENCY = {"acme": "USD", "zen": "EUR", "shop": "GBP", "carrier": "USD", "telco": "EUR"}


class Office:
    """What reports need of an office."""

    def __init__(self, database) -> None:
        self.stores = SqlStores(database)
        owned = [
            msgspec.structs.replace(account(each, agent=agent or None), name=name)
            for each, (name, agent) in OWNERS.items()
        ]
        by_name = {each.id: each for each in [*owned, account("reseller")]}
        gateways = {"mapping_gateways": ["acme-pbx"], "phones": [], "routing_gateways": ["telco-trunk"]}
        by_list = {name: frozenset(names) for name, names in gateways.items()}
        self.definitions = SimpleNamespace(
            accounts=lambda: by_name, hierarchy=lambda: Hierarchy.of(by_name), gateways_by_list=lambda: by_list
        )

    def scope_of(self, who):
        return scope_of(who, self.definitions.accounts(), self.definitions.hierarchy())

    def now(self) -> int:
        return NOW


def some_call(index: int, dice: random.Random):
    """A call of any kind, begun at any time of the span."""
    begun = SINCE + dice.randrange(UNTIL - SINCE)
    customer, vendor = dice.choice(["acme", "zen", "shop"]), dice.choice(["carrier", "telco"])
    shift = begun - STARTED - index
    area = dice.choice(["London", "Paris", None])
    if dice.random() < 0.3:
        record = refused_call(index)
        moved = {name: None if getattr(record, name) is None else getattr(record, name) + shift
                 for name in ("started_at", "ringing_at", "ended_at")}  # fmt: skip
        reason, code, rings = dice.choice(
            [
                ("Busy", 486, False), ("No Answer", 480, False), ("No Answer", 408, False), ("No Answer", 408, True),
                ("Cancelled", 487, False), ("Cancelled", 487, True), ("Unavailable", 503, False),
                ("Insufficient Balance", 402, False),
            ]
        )  # fmt: skip
        if rings:
            moved |= {"ringing_at": moved["started_at"] + 1, "pdd_ms": 1}
        terms = {} if customer == "zen" else {"currency": CURRENCY[customer]}
        return refused_call(index, customer_account=customer, end_reason=reason, sip_code=code, **terms, **moved)
    fee, cost, share = (Decimal(dice.randrange(10**6)) / 10**6 for _ in range(3))
    terms = {"customer_account": customer, "vendor_account": vendor, "fee": fee, "cost": cost}
    plain = answered_call(index, **terms)
    charges = tuple(
        charge.__class__(
            **{name: getattr(charge, name) for name in charge.__struct_fields__}
            | {"currency": CURRENCY[charge.account]}
        )
        for charge in plain.charges
    )
    if customer == "shop":
        charges = (charges[0], charge_row("reseller", AGENT, 1, share), charges[1])
    postings = tuple(
        each.__class__(each.account, each.amount, each.reference, CURRENCY[each.account]) for each in plain.postings
    )
    times = {name: getattr(plain, name) + shift for name in ("started_at", "ringing_at", "answered_at", "ended_at")}
    attempts = [Attempt("telco-trunk", 503, 300, None, "Unavailable")] if dice.random() < 0.4 else []
    attempts.append(Attempt(f"{vendor}-trunk", 200, 4_000, 700, "Normal"))
    held = dice.randrange(700_000)
    if dice.random() < 0.1:  # a gateway that calls came from and went to
        times["mapping_gateway"] = attempts[-1].gateway
    media = dice.choice([None, "damaged", json.dumps({"legs": {"caller": some_leg(dice), "callee": some_leg(dice)}})])
    answered = answered_call(
        index, **terms, **times, charges=charges, postings=postings, attempts=tuple(attempts), rate_area=area,
        currency=CURRENCY[customer], vendor_currency=CURRENCY[vendor], hold_time_ms=held, hold_time_s=-(-held // 1000),
        pdd_ms=dice.choice([None, dice.randrange(9_000)]), loss=cost - fee if cost > fee else None,
        billing_method=dice.choice(["gateway", "phone"]), media=media, rate_prefix=dice.choice(["4420", "4421", "442"]),
        rate_type=dice.choice([None, "local"]), caller_in=f"{dice.randrange(10**4)}",
        callee_billing=dice.choice([None, f"44{dice.randrange(10**4)}"]),
    )  # fmt: skip
    return answered if index % 5 else to_a_phone(answered)


def to_a_phone(call):
    """Return a call as one that a phone has answered, for which no vendor is paid."""
    return msgspec.structs.replace(
        call, vendor_account=None, vendor_currency=None, cost=Decimal(0), vendor_billed_seconds=0, loss=None,
        routing_gateway="7001", attempts=(), charges=tuple(each for each in call.charges if each.role != VENDOR),
        postings=tuple(each for each in call.postings if each.account != call.vendor_account),
    )  # fmt: skip


def some_leg(dice: random.Random):
    """A leg without media, without known loss, without packets, or with a loss."""
    lost = dice.randrange(300) / 10
    legs = [None, {"packets_in": 9, "lost_percent": None}, {"packets_in": 0, "lost_percent": 0.0}]
    return dice.choice([*legs, *[{"packets_in": 500, "lost_percent": lost, "address": "192.0.2.1:4000"}] * 3])


OWNERS = {"shop": ("Shop", "reseller"), "acme": ("Acme Ltd", "")}
NO_CDR = [some_call(index, random.Random(index)) for index in range(300, 360)]
"""Calls that leave no CDR."""
PEAKS = [
    TrafficPeak(SINCE // 900_000 + quarter, side, name, (quarter * 7 + len(name)) % 50, (quarter * 5) % 13)
    for quarter in range(0, 240, 3)
    for side, name in (
        (PeakSide.SWITCH, ""), (PeakSide.MAPPING, "acme-pbx"), (PeakSide.ROUTING, "carrier-trunk"),
        (PeakSide.ROUTING, "telco-trunk"),
    )
]  # fmt: skip


@pytest.fixture
async def booked(database):
    """Calls that are booked out of order, some late, with corrections between, while the job runs."""
    dice = random.Random(7)
    calls = [some_call(index, dice) for index in range(1, 200)]
    late, calls = calls[:20], calls[20:]
    dice.shuffle(calls)
    books, traffic, corrections = SqlBooks(database), SqlTraffic(database), SqlCorrections(database)
    without = AttemptsWithoutCdr()
    answered = [call for call in calls if call.answered_at is not None]
    for part in range(6):
        await books.book(calls[part::6])
        if part % 2:
            await traffic.advance()
        done = [call for call in answered if call in calls[part::6]]
        for call in NO_CDR[part::6]:
            without.note(call)
        await traffic.add_live(LiveCounts(part + 1, without.take(), tuple(PEAKS[part::6])))
        for call in dice.sample(done, 2):
            role = dice.choice([CUSTOMER, VENDOR]) if call.vendor_account else CUSTOMER
            change = ChargeChange(role, 0, Amounts(Decimal(dice.randrange(10**6)) / 10**6, Decimal(0), 61))
            at = SINCE + dice.randrange(UNTIL - SINCE)
            await corrections.book([Correction(call.call_id, (change,), f"{part}", "ann", "wrong", at)])
        rerated = RunBookings(corrections, Run(f"rerate-{part}", "ann", "other rates", SINCE + part * HOUR))
        for call in dice.sample(done, 3):
            changes = tuple(
                ChargeChange(each.role, each.level, Amounts(each.fee / 2 + part, each.tax, each.billed_seconds + part))
                for each in call.charges
            )
            await rerated.add(call.call_id, changes)
        await rerated.finish()
    payments = SqlPayments(database)
    for index, name in enumerate(["acme", "zen", "quiet", "zen"]):
        minimum = Payment(
            account=name, kind=EntryKind.MINIMUM, reference=f"minimum/{index}", made_at=SINCE + (index + 1) * 13 * HOUR,
            amount=-Decimal(index + 1) / 4, currency=CURRENCY.get(name, "USD"),
        )  # fmt: skip
        await payments.add(minimum)
    while await traffic.advance() or await traffic.close_day(NOW):
        pass
    zones = [ZoneInfo(zone) for zone, _ in DIVIDED]
    while await traffic.close_zone_day(NOW, zones):
        pass
    await books.book(late)
    while await traffic.advance():
        pass
    return database


async def records(database):
    wanted = [call_id(index) for index in range(1, 200)]
    async with database.reading() as connection:
        found = {each.record.call_id: each.record for each in await calls_with_ids(connection, wanted)}
    return [found[each] for each in wanted]


BY = {
    "revenue": ["customer_account"], "phones": ["mapping_gateway", "customer_account"], "areas": ["area", "rate_type"],
    "account-areas": ["customer_account", "area", "rate_type"],
    "gateway-areas": ["mapping_gateway", "routing_gateway", "area", "rate_type"],
    "mapping-gateways": ["mapping_gateway", "customer_account"], "performance": [], "durations": [],
    "failures": ["end_reason", "sip_code", "hangup_source", "routing_gateway"], "daily": [],
    "top-customers": ["customer_account"], "top-revenue": ["customer_account"],
    "profit": ["customer_account", "vendor_account", "area"],
    "profit-customers": ["customer_account"], "profit-vendors": ["vendor_account"],
    "profit-gateways": ["routing_gateway", "vendor_account"], "profit-areas": ["area", "rate_type"],
    "profit-hours": [], "false-answers": ["routing_gateway", "area"],
}  # fmt: skip


def common(call, name):
    if name == "area":
        return call.rate_area or call.rate_prefix or ""
    return getattr(call, name) or (0 if name == "sip_code" else "")


def paid(call):
    """Return what the installation is paid, and in which currency."""
    agents = [each for each in call.charges if each.role == AGENT]
    return (agents[-1].fee, agents[-1].currency) if agents else (call.fee, call.currency)


def span_of(call, group, zone) -> str:
    return span_at(call.started_at, group, zone)


@cache
def span_at(moment, group, zone) -> str:
    local = (EPOCH + timedelta(milliseconds=moment)).astimezone(ZoneInfo(zone))
    if group == "hour":
        return f"{local:%Y-%m-%dT%H:00%z}"
    if group == "5min":
        return f"{local - timedelta(minutes=local.minute % 5):%Y-%m-%dT%H:%M%z}"
    if group == "week":
        return f"{local - timedelta(days=local.weekday()):%Y-%m-%d}"
    return {"whole": "", "day": f"{local:%Y-%m-%d}", "month": f"{local:%Y-%m}"}[group]


def money(amounts):
    return sum(amounts, Decimal(0))


def share(part, whole):
    return None if not whole else str((Decimal(100) * part / whole).quantize(Decimal("0.01"), ROUND_HALF_UP))


def mean(total_ms, count, unit):
    return None if not count else str((Decimal(total_ms) / count / 1000).quantize(Decimal(unit), ROUND_HALF_UP))


def figures(calls, without=()):
    """Return the figures of calls without money; ``without`` are those that left no CDR."""
    tried = [*calls, *without]
    answered = [call for call in calls if call.answered_at is not None]
    rung = [call for call in calls if call.pdd_ms is not None]
    taken = [call for call in tried if call.answered_at is not None]
    refused = [call for call in tried if call.end_reason in {"Busy", "Rejected"}]
    rang = [call for call in tried if call.ringing_at is not None and call.answered_at is None and call not in refused]
    reached = [*taken, *refused, *rang]
    progressed = [call for call in tried if call.ringing_at is not None or call.answered_at is not None]
    held = sum(call.hold_time_ms for call in answered)
    found = {
        "calls": len(calls), "answered": len(answered), "asr": share(len(taken), len(tried)),
        "without_cdr": len(without), "attempts": len(tried), "ner": share(len(reached), len(tried)),
        "response": share(len(progressed), len(tried)),
        "hold_s": sum(call.hold_time_s for call in answered),
        "billed_seconds": sum(call.billed_seconds for call in calls),
        "acd": mean(held, len(answered), "0.1"),
        "pdd": mean(sum(call.pdd_ms for call in rung), len(rung), "0.001"),
        "below_cost": sum(call.loss is not None for call in calls),
        "short": sum(call.hold_time_s <= 6 for call in answered),
        "short_share": share(sum(call.hold_time_s <= 6 for call in answered), len(answered)),
    }  # fmt: skip
    for side in ("caller", "callee"):
        losses = [loss for loss in (loss_of(call, side) for call in answered) if loss is not None]
        found[f"{side}_measured"] = len(losses)
        found[f"{side}_loss"] = mean(sum(losses) * 1000, len(losses), "0.01")
    for number, (low, high) in enumerate([(0, 0), (1, 6), (7, 30), (31, 60), (61, 180), (181, 600), (601, 10**9)]):
        found[f"band_{number}"] = sum(low <= call.hold_time_s <= high for call in answered)
    return found


def loss_of(call, side):
    """Return the lost packets of a side in percent; None = it is not known."""
    leg = json.loads(call.media)["legs"][side] if call.media not in {None, "damaged"} else None
    return Decimal(str(leg["lost_percent"])) if leg and leg["packets_in"] and leg["lost_percent"] is not None else None


def amount(calls, figure):
    if figure == "income":
        return money(paid(call)[0] for call in calls)
    return money(getattr(call, figure) or Decimal(0) for call in calls)


def grouped(calls, report, group, zone):
    rows = defaultdict(list)
    for call in calls:
        rows[span_of(call, group, zone), *(common(call, name) for name in BY[report])].append(call)
    return rows


DIVIDED = [
    ("UTC", "whole"), ("UTC", "hour"), ("Europe/Berlin", "day"), ("Asia/Kolkata", "week"), ("Asia/Kathmandu", "month"),
    ("America/St_Johns", "hour"), ("America/St_Johns", "day"),
]  # fmt: skip
BY_FIVE = [("Asia/Kathmandu", "5min")]
AREAS = {"London": "442", "Paris": "442"}


async def check_each_report(booked):
    calls, office = await records(booked), Office(booked)
    for name in BY:
        wanted = [call for call in calls if name != "phones" or call.billing_method == "phone"]
        without = NO_CDR if any(part.kind is TrafficKind.NO_CDR for part in REPORTS[name].parts) else []
        if name == "failures":
            wanted, without = ([call for call in some if call.answered_at is None] for some in (wanted, without))
        for zone, group in DIVIDED + BY_FIVE * REPORTS[name].has_fives:
            order = ShowReport(name=name, since=SINCE, until=UNTIL, group=group, zone=zone)
            sheet = await show_report(office, ROOT, order)
            rows, uncounted = grouped(wanted, name, group, zone), grouped(without, name, group, zone)
            found = defaultdict(list)
            for row in sheet.rows:
                span = _shown(row.get("span", ""), group, zone)
                found[span, *(row[each] for each in BY[name])].append(row)
            for row in sheet.rows:
                if REPORTS[name].shows_owner:
                    assert (row["name"], row["agent"]) == OWNERS.get(row["customer_account"], ("", ""))
                if "area" in row:
                    assert row["area_prefix"] == AREAS.get(row["area"], row["area"])
            beside = {key for key, some in found.items() if "minimum" in some[0] and not some[0]["calls"]}
            assert {*rows, *uncounted} | beside == {*found}, (name, group)
            for key, some in found.items():
                check(some, rows[key], uncounted[key], name, key)
                check_peaks(some, name, key, group, zone)


def check_peaks(rows, name, key, group, zone):
    """Compare peaks with the highest of the quarters of an hour in the span."""
    side = REPORTS[name].peaks
    if side is None or group == "5min":
        assert "peak_concurrent" not in rows[0]
        return
    object_name = "" if side is PeakSide.SWITCH else key[1]
    of_span = [
        each for each in PEAKS
        if each.side is side and each.name == object_name and span_at(each.slot * 900_000, group, zone) == key[0]
    ]  # fmt: skip
    assert {row["peak_concurrent"] for row in rows} == {max((each.concurrent for each in of_span), default=None)}
    if "peak_cps" in rows[0]:
        assert {row["peak_cps"] for row in rows} == {max((each.per_second for each in of_span), default=None)}


def _shown(span, group, zone) -> str:
    """Return the label of the whole span; the first of a report begins where the report does."""
    if group not in {"week", "hour"} or not span:
        return span
    first = (EPOCH + timedelta(milliseconds=SINCE)).astimezone(ZoneInfo(zone))
    if group == "hour":
        return span[:14] + "00" + span[16:]
    return f"{first - timedelta(days=first.weekday()):%Y-%m-%d}" if span == f"{first:%Y-%m-%d}" else span


def check(rows, calls, without, name, key):
    """Compare the rows of some calls, one for each currency, with the calls."""
    plain = figures(calls, without)
    for figure in (
        "calls",
        "without_cdr",
        "attempts",
        "answered",
        "hold_s",
        "billed_seconds",
        "below_cost",
        "short",
        "caller_measured",
        "callee_measured",
        *(f"band_{n}" for n in range(7)),
    ):
        if figure in rows[0]:
            assert sum(row[figure] for row in rows) == plain[figure], (name, key, figure)
    if len(rows) == 1:
        for figure in ("asr", "ner", "response", "acd", "pdd", "short_share", "caller_loss", "callee_loss"):
            if figure in rows[0]:
                assert rows[0][figure] == plain[figure], (name, key, figure)
    for figure, currency_of in (
        ("fee", lambda call: call.currency),
        ("cost", lambda call: call.vendor_currency),
        ("income", lambda call: paid(call)[1]),
        ("loss", lambda call: paid(call)[1]),
    ):  # fmt: skip
        if figure not in rows[0]:
            continue
        where = {"fee": "currency", "cost": "vendor_currency"}.get(figure, "income_currency")
        by_currency = defaultdict(list)
        for call in calls:
            by_currency[currency_of(call) or ""].append(call)
        for currency, some in by_currency.items():
            shown = money(Decimal(row[figure]) for row in rows if row[where] == currency)
            if currency:
                assert shown == amount(some, figure), (name, key, figure, currency)
            else:
                assert amount(some, figure) == 0


async def check_profits(booked):
    """Rows and totals of every report have the same profit: it does not depend on what the calls have in common."""
    calls, office = await records(booked), Office(booked)
    wanted = defaultdict(Decimal)
    for call in calls:
        income, paid_in = paid(call)
        if call.vendor_currency in {None, paid_in}:
            wanted[paid_in] += income - call.cost
    wanted = {currency: profit for currency, profit in wanted.items() if profit}
    assert {*wanted} == {"USD", "EUR"}
    for name in (name for name in BY if "profit" in REPORTS[name].figures):
        for group in ("whole", "hour", "day"):
            order = ShowReport(name=name, since=SINCE, until=UNTIL, group=group, zone="Asia/Kolkata")
            sheet = await show_report(office, ROOT, order)
            for rows in (sheet.rows, sheet.totals):
                found = defaultdict(Decimal)
                for row in rows:
                    found[row["income_currency"]] += Decimal(row["profit"] or 0)
                shown = {currency: profit for currency, profit in found.items() if profit}
                assert shown == wanted, (name, group, rows is sheet.totals)


async def check_minimums_and_corrections(booked):
    office = Office(booked)
    entries = await entries_of(booked)
    for zone, group in DIVIDED:
        order = ShowReport(name="revenue", since=SINCE, until=UNTIL, group=group, zone=zone)
        sheet = await show_report(office, ROOT, order)
        for figure, kind in (("minimum", "minimum"), ("corrections", "correction")):
            wanted = defaultdict(Decimal)
            for each in entries:
                is_own = kind == "minimum" or each.reference.endswith("/customer")
                if each.kind == kind and is_own and SINCE <= each.created_at < UNTIL:
                    wanted[span_at(each.created_at, group, zone), each.account, each.currency] -= each.amount
            shown = defaultdict(Decimal)
            for row in sheet.rows:
                place = _shown(row.get("span", ""), group, zone), row["customer_account"], row["currency"]
                shown[place] += Decimal(row[figure])
            assert wanted
            assert {place: amount for place, amount in shown.items() if amount} == {
                place: amount for place, amount in wanted.items() if amount
            }, (figure, group, zone)
    rows = (await show_report(office, ROOT, ShowReport(name="revenue", since=SINCE, until=UNTIL, area="London"))).rows
    assert "minimum" not in rows[0], "entries of the ledger have no destination"


async def check_attempts(booked):
    calls, office = await records(booked), Office(booked)
    sheet = await show_report(
        office, ROOT, ShowReport(name="routing-gateways", since=SINCE, until=UNTIL, group="whole")
    )
    tried = [(each.gateway, each.code) for call in calls for each in call.attempts]
    for gateway in {gateway for gateway, _ in tried}:
        rows = [row for row in sheet.rows if row["routing_gateway"] == gateway]
        assert {row["vendor_account"] for row in rows} == {gateway.removesuffix("-trunk")}
        losses = [loss_of(call, "callee") for call in calls if call.routing_gateway == gateway]
        assert sum(row["callee_measured"] for row in rows) == len([*filter(lambda loss: loss is not None, losses)])
        assert sum(row["offered"] for row in rows) == sum(each == gateway for each, _ in tried)
        assert sum(row["taken"] for row in rows) == sum(each == (gateway, 200) for each in tried)


async def check_five_minutes(booked):
    """Five minutes have the totals of the whole for every criterion of one side; for others they are refused."""
    office = Office(booked)
    for criterion in (
        {}, {"account": "acme"}, {"vendor": "telco"}, {"gateway": "acme-pbx"}, {"gateway": "telco-trunk"},
    ):  # fmt: skip
        totals = []
        for group in ("whole", "hour", "5min"):
            order = ShowReport(name="performance", since=SINCE, until=UNTIL, group=group, **criterion)
            sheet = await show_report(office, ROOT, order)
            (total,) = sheet.totals
            totals.append({name: value for name, value in total.items() if name != "peak_concurrent"})
        assert totals[0] == totals[1] == totals[2], criterion
        assert totals[0]["calls"], criterion
    for criterion in ({"area": "London"}, {"account": "acme", "vendor": "telco"}, {"gateway": "x", "account": "acme"}):
        order = ShowReport(name="performance", since=SINCE, until=UNTIL, group="5min", **criterion)
        with pytest.raises(OrderError, match="too much for five minutes"):
            await show_report(office, ROOT, order)
    with pytest.raises(OrderError, match="none of this report"):
        await show_report(office, ROOT, ShowReport(name="revenue", since=SINCE, until=UNTIL, group="5min"))


async def check_prefixes(booked, monkeypatch):
    calls, office = await records(booked), Office(booked)
    for digits, group, criterion in (
        ({"caller_digits": 1}, "day", {}), ({"callee_digits": 3}, "whole", {"account": "acme"}),
        ({"callee_digits": 4}, "hour", {"callee": "44"}), ({"caller_digits": 3}, "whole", {}),
        ({"callee_digits": 5}, "day", {}),
        ({"caller_digits": 1, "callee_digits": 2}, "hour", {"gateway": "telco-trunk", "area": "London"}),
    ):  # fmt: skip
        wanted = defaultdict(list)
        for call in calls:
            if criterion.get("account", call.customer_account) != call.customer_account:
                continue
            if "gateway" in criterion and (
                criterion["gateway"] not in {call.mapping_gateway, call.routing_gateway} or call.rate_area != "London"
            ):
                continue
            numbers = call.caller_in, call.callee_in if call.callee_billing is None else call.callee_billing
            if not numbers[1].startswith(criterion.get("callee", "")):
                continue
            prefixes = [
                number[: digits[name]]
                for name, number in zip(("caller_digits", "callee_digits"), numbers, strict=True)
                if name in digits
            ]
            wanted[span_of(call, group, "UTC"), *prefixes].append(call)
        order = ShowReport(name="durations", since=SINCE, until=UNTIL, group=group, **digits, **criterion)
        sheet = await show_report(office, ROOT, order)
        are_summed = max(digits.values()) < 5 and not {"account", "gateway"} & {*criterion}
        with monkeypatch.context() as patch:
            patch.setattr(reports, "READ_MAX", 0)
            with nullcontext() if are_summed else pytest.raises(TooManyToReadError):
                assert await show_report(office, ROOT, order) == sheet
        names = [name.replace("digits", "prefix") for name in digits]
        found = {(row.get("span", ""), *(row[name] for name in names)): row for row in sheet.rows}
        assert len(found) == len(sheet.rows)
        assert {*found} == {*wanted}
        assert len(wanted) > 2
        for key, row in found.items():
            check([row], wanted[key], [], "durations", key)
        undivided = msgspec.structs.replace(order, caller_digits=None, callee_digits=None)
        plain = await show_report(office, ROOT, undivided)
        assert sheet.totals == plain.totals
        assert sheet.missing == 0
    order = ShowReport(name="durations", since=SINCE, until=UNTIL, callee_digits=4, group="hour")
    with monkeypatch.context() as patch:
        patch.setattr(reports, "ROWS_MAX", 3)
        with pytest.raises(TooManyRowsError):
            await show_report(office, ROOT, order)
    order = ShowReport(name="durations", since=SINCE, until=UNTIL, callee_digits=3, area="London")
    of_area = sum(call.rate_area == "London" for call in calls)
    with monkeypatch.context() as patch:
        patch.setattr(reports, "READ_MAX", of_area)  # calls are not found by area: all are read
        with pytest.raises(TooManyToReadError, match=f"read {len(calls)} calls"):
            await show_report(office, ROOT, order)
    with pytest.raises(OrderError, match="is no criterion of this report"):
        await show_report(office, ROOT, ShowReport(name="daily", since=SINCE, until=UNTIL, callee_digits=3))


async def check_reasons_and_numbers(booked):
    """Calls are chosen by how they ended, and by the beginning of a number; a report refuses what it does not know."""
    calls, office = await records(booked), Office(booked)
    times = {"since": SINCE, "until": UNTIL, "group": "whole"}
    for name in ("revenue", "profit-gateways", "durations"):
        for criterion, has in (
            ({"reason": "busy"}, lambda call: call.end_reason == "Busy"),
            ({"answered": True}, lambda call: call.answered_at is not None),
            ({"answered": False, "gateway": "acme-pbx"},
             lambda call: call.answered_at is None and call.mapping_gateway == "acme-pbx"),
        ):  # fmt: skip
            wanted = [call for call in calls if has(call)]
            totals = (await show_report(office, ROOT, ShowReport(name=name, **times, **criterion))).totals
            uncounted = NO_CDR if any(part.kind is TrafficKind.NO_CDR for part in REPORTS[name].parts) else []
            count = len(wanted) + sum(map(has, uncounted))
            assert sum(total["calls"] for total in totals) == count, (name, criterion)
    for criterion in ({"callee": "441"}, {"caller": "12", "reason": "Normal"}, {"caller": "1", "callee_digits": 3}):
        wanted = [
            call for call in calls
            if call.caller_in.startswith(criterion.get("caller", ""))
            and (call.callee_billing or call.callee_in).startswith(criterion.get("callee", ""))
            and call.end_reason == criterion.get("reason", call.end_reason)
        ]  # fmt: skip
        sheet = await show_report(office, ROOT, ShowReport(name="durations", **times, **criterion))
        assert wanted
        check(sheet.totals, wanted, [], "durations", criterion)
        if "callee" in criterion:
            order = ShowReport(name="durations", **times, **criterion | {"callee": f"+{criterion['callee']}"})
            assert await show_report(office, ROOT, order) == sheet, "numbers are rated without the sign"
    for name in ("caller", "callee"):
        with pytest.raises(OrderError, match="is a plus sign alone"):
            await show_report(office, ROOT, ShowReport(name="durations", **times, **{name: "+"}))
    refused = {"daily": "caller", "agents": "answered", "routing-gateways": "reason", "payments": "gateway"}
    for name, criterion in refused.items():
        with pytest.raises(OrderError, match="is no criterion of this report") as said:
            await show_report(office, ROOT, ShowReport(name=name, **times, **{criterion: "1"}))
        assert "vosd cdr list" in str(said.value.remedy)
    with pytest.raises(UnknownNameError, match="did you mean 'Busy'"):
        await show_report(office, ROOT, ShowReport(name="revenue", **times, reason="Bussy"))
    with pytest.raises(OrderError, match="is a vendor's"):
        await show_report(office, ROOT, ShowReport(name="agents", **times, gateway="telco-trunk"))
    for name in ("telco-trunk", "nowhere"):  # an agent learns of neither whether there is such a gateway
        with pytest.raises(OrderError, match="is not for agents and customers"):
            await show_report(office, agent_of("reseller"), ShowReport(name="agents", **times, gateway=name))


async def check_rows_of_several_currencies(booked):
    """Currencies of the calls of a row find as many calls as it counts, where another row has all else in common."""
    office, found = Office(booked), 0
    for name, by in (
        ("revenue", "customer"),
        ("profit-customers", "customer"),
        ("mapping-gateways", "mapping_gateway"),
    ):
        order = ShowReport(name=name, since=SINCE, until=UNTIL, group="whole")
        sheet = await show_report(office, ROOT, order)
        column = "customer_account" if by == "customer" else by
        for row, currencies in zip(sheet.rows, sheet.calls, strict=True):
            if currencies is None or not row[column]:
                continue
            criteria = msgspec.structs.asdict(currencies) | {by: row[column]}
            if by != "customer":
                criteria["customer"] = row["customer_account"]
            wanted = ListRecords(**criteria, since=SINCE, until=UNTIL, limit=10_000)
            calls = [each async for each in list_records(office, ROOT, wanted)]
            assert len(calls) == row["calls"], (name, row, currencies)
            found += currencies.currency is not None
    assert found >= 6
    own = ShowReport(name="revenue", since=SINCE, until=UNTIL, group="whole")
    sheet = await show_report(office, agent_of("reseller"), own)
    assert all(each.vendor_currency is None for each in sheet.calls)


async def check_calls_of_failures(booked):
    """The search finds as many calls of an end as the rows of all gateways count."""
    office, counted = Office(booked), defaultdict(int)
    sheet = await show_report(office, ROOT, ShowReport(name="failures", since=SINCE, until=UNTIL, group="whole"))
    for row in sheet.rows:
        counted[row["end_reason"], row["sip_code"], row["hangup_source"]] += row["calls"]
    assert sum(counts > 0 for counts in counted.values()) >= 3, counted
    for (reason, code, side), count in counted.items():
        ended = ListRecords(
            reason=reason, sip_code=code, hangup_source=side, answered=False, since=SINCE, until=UNTIL, limit=10_000
        )
        assert len([each async for each in list_records(office, ROOT, ended)]) == count, ended


async def check_agents(booked):
    calls, office = await records(booked), Office(booked)
    sheet = await show_report(office, ROOT, ShowReport(name="agents", since=SINCE, until=UNTIL, group="whole"))
    charges = [(each, call) for call in calls for each in call.charges if each.role == AGENT]
    assert charges
    assert money(Decimal(row["fee"]) for row in sheet.rows) == money(each.fee for each, _ in charges)
    assert money(Decimal(row["agent_income"]) for row in sheet.rows) == money(call.fee for _, call in charges)
    assert {row["party"] for row in sheet.rows} == {"reseller"}
    order = ShowReport(name="revenue", since=SINCE, until=UNTIL, group="whole", account="reseller", below=True)
    rows = (await show_report(office, ROOT, order)).rows
    assert {row["customer_account"] for row in rows} == {"shop"}
    assert sum(row["calls"] for row in rows) == sum(call.customer_account == "shop" for call in calls)
    with pytest.raises(OrderError, match="account"):
        await show_report(office, ROOT, msgspec.structs.replace(order, account=None))
    own = msgspec.structs.replace(ROOT, role=Role.CUSTOMER, account="reseller")
    assert (await show_report(office, own, order)).rows == []


async def test_each_report_has_what_the_calls_and_the_ledger_have(booked, monkeypatch):
    """All of one filling of the database, which takes longer than the comparisons."""
    await check_each_report(booked)
    await check_profits(booked)
    await check_minimums_and_corrections(booked)
    await check_attempts(booked)
    await check_agents(booked)
    await check_five_minutes(booked)
    await check_prefixes(booked, monkeypatch)
    await check_reasons_and_numbers(booked)
    await check_rows_of_several_currencies(booked)
    await check_calls_of_failures(booked)


def test_every_report_is_compared():
    assert {*BY, "routing-gateways", "agents"} == {*REPORTS}
