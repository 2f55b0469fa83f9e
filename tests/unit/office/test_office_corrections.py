"""Corrections in the office: what is said of a call's charges, who may say it, and the audit of it."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final

import msgspec
import pytest
from doubles.collisions import LOCKED, colliding
from doubles.data import builders
from doubles.data.builders import applied_rate, rating_policy
from doubles.data.records import answered_call, call_id, charge_row
from doubles.ended_calls import ended_call
from doubles.office import agent, office_on, operator

from vosd.admin.names import UnknownNameError
from vosd.admin.office.audit import ListAudit, list_audit
from vosd.admin.office.corrections import (
    CorrectCall,
    ListCorrections,
    TaxUnknownError,
    WantedCharge,
    changes_of,
    correct_call,
    list_corrections,
)
from vosd.admin.office.office import Office
from vosd.admin.office.payments import AboveLimitError
from vosd.admin.office.principal import OperatorsOnlyError, OrderError, Principal
from vosd.admin.office.rerating import RerateCalls, rerate_calls
from vosd.billing.parties import CallSide, Party
from vosd.billing.rater import breakdown, rate_call, tax_by
from vosd.cdr.corrections import Amounts, ChargeChange, Correction, NoSuchCharge
from vosd.cdr.ports import RowsLocked
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR, Posting
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.ports import CallFilter

NOW: Final = 1_790_000_900_000
AGENTS = (Party("reseller", CallSide.AGENT, 1, applied_rate("0.50", tax_rate="20")),)
RECORD = ended_call(1, applied_rate("0.60", tax_rate="10"), applied_rate("0.30"), AGENTS)

IN_CENTS = ended_call(3, applied_rate("0.60", tax_rate="10", policy=rating_policy(fee_precision=2)), None)


def test_the_tax_follows_from_the_fee_by_the_terms_of_the_call():
    (change,) = changes_of(RECORD, [WantedCharge(role=CUSTOMER, fee=Decimal("0.36"))], {})
    assert change == ChargeChange(CUSTOMER, 0, Amounts(Decimal("0.36"), Decimal("0.036"), 62), Decimal(10))
    (of_agent,) = changes_of(RECORD, [WantedCharge(role=AGENT, level=1, fee=Decimal("0.10"))], {})
    assert of_agent.after == Amounts(Decimal("0.10"), Decimal("0.02"), 62)


def test_a_tax_that_is_said_counts():
    (change,) = changes_of(
        RECORD, [WantedCharge(role=VENDOR, fee=Decimal("0.2"), tax=Decimal("0.01"), billed_seconds=60)], {}
    )
    assert change.after == Amounts(Decimal("0.2"), Decimal("0.01"), 60)


@pytest.mark.parametrize(
    ("fee", "tax", "latest", "by"),
    [
        ("0.02", None, None, "10"),  # it rounds to zero, and is not struck out
        ("0.02", "0", None, "10"),
        ("0.36", "0", None, "0"),
        ("0.62", "0", None, "0"),
        ("0.02", "0", "50", "0"),
        ("0.02", None, "16", "16"),
        ("0.36", None, "0", "0"),
        ("0.36", "0", "0", "0"),
        ("0", None, "16", "16"),
        ("0", "0", "16", None),  # no fee says no rate
        ("0.36", "0.03", None, None),
    ],
)
def test_a_tax_of_zero_is_struck_out_only_where_its_rate_makes_more(fee, tax, latest, by):
    """A call of 0.62 + 0.06 with two decimals; at 50 % half a cent and more is rounded up."""
    wanted = WantedCharge(role=CUSTOMER, fee=Decimal(fee), tax=tax and Decimal(tax))
    rates = {} if latest is None else {(CUSTOMER, 0): Decimal(latest)}
    (change,) = changes_of(IN_CENTS, [wanted], rates)
    assert change.tax_rate == (by and Decimal(by))


def test_a_tax_of_zero_that_is_said_needs_no_steps():
    wanted = WantedCharge(role=CUSTOMER, fee=Decimal("0.36"), tax=Decimal(0))
    (change,) = changes_of(answered_call(1, fee_breakdown="{}"), [wanted], {})
    assert (change.after.tax, change.tax_rate) == (0, None)


def test_what_is_not_said_stays():
    (change,) = changes_of(RECORD, [WantedCharge(role=CUSTOMER, billed_seconds=60)], {})
    assert change.after == Amounts(Decimal("0.62"), Decimal("0.062"), 60)


def test_nothing_is_taxed_with_nothing():
    (change,) = changes_of(answered_call(1), [WantedCharge(role=CUSTOMER, fee=Decimal(0))], {})
    assert change.after == Amounts(Decimal(0), Decimal(0), 60)


def test_without_steps_the_tax_must_be_said():
    with pytest.raises(TaxUnknownError, match="say `tax`"):
        changes_of(answered_call(1, fee_breakdown="{}"), [WantedCharge(role=CUSTOMER, fee=Decimal("0.36"))], {})


def test_a_party_that_the_call_has_not_is_named():
    with pytest.raises(
        NoSuchCharge, match="no charge for the agent of level 2; it has: customer customer-1, agent res"
    ):
        changes_of(RECORD, [WantedCharge(role=AGENT, level=2, fee=Decimal(1))], {})


@pytest.mark.parametrize("seconds", [1, 59, 61, 3_601])
@pytest.mark.parametrize("places", [0, 2, 6])
@pytest.mark.parametrize("tax_exempt", [False, True])
def test_the_tax_on_an_unchanged_fee_is_the_one_that_was_charged(seconds, places, tax_exempt):
    policy = rating_policy(fee_precision=places, nonzero_floor=True, tax_exempt=tax_exempt)
    applied = applied_rate("0.0137", 6, tax_rate="7.7", policy=policy)
    charge = rate_call(applied, 1_000 * seconds)
    assert tax_by(breakdown(applied, 1_000 * charge.hold_time_s), charge.fee) == charge.tax


def test_what_is_no_breakdown_has_no_tax():
    with pytest.raises(KeyError):
        tax_by(msgspec.json.decode("[]"), Decimal(1))


@pytest.fixture
async def office(database: Database) -> Office:
    of_acme = answered_call(2, customer_account="acme", mapping_gateway="acme", vendor_account="vendor")
    charges = (charge_row("acme", CUSTOMER, 0, Decimal("0.50")),)
    postings = (Posting("acme", Decimal("-0.50"), "call/2", "USD"),)
    of_acme = msgspec.structs.replace(of_acme, fee=Decimal("0.50"), charges=charges, postings=postings)
    await SqlBooks(database).book([RECORD, of_acme, IN_CENTS])
    return office_on(database, builders.account("south"), builders.account("shop", agent="south"), now=NOW)


async def audited(office: Office) -> list[tuple[str, str, str]]:
    return [(line.action, line.subject, line.principal) for line in await list_audit(office, operator(), ListAudit())]


def ignore(_calls: int, _wall_ms: int) -> None:
    """Take no notice of how far a run is."""


SPAN: Final = {"since": 0, "until": NOW}
FREE: Final = (WantedCharge(role=CUSTOMER, fee=Decimal(0)),)


async def test_a_correction_leaves_one_line_in_the_audit_and_a_repeat_or_a_trial_none(office: Office) -> None:
    document = (
        f'{{"call_id": "{RECORD.call_id[:13]}", "charges": [{{"role": "customer", "fee": "0.36"}}], "memo": "why"'
    )
    trial = msgspec.json.decode(document + ', "is_trial": true}', type=CorrectCall)
    (would_be,) = (await correct_call(office, operator("ann"), trial)).changes
    assert (would_be.fee_after, would_be.repeated, await audited(office)) == ("0.36", False, [])
    order = msgspec.json.decode(document + ', "reference": "t1"}', type=CorrectCall)
    for is_repeated in (False, True):
        (change,) = (await correct_call(office, operator("ann"), order)).changes
        assert (change.fee_after, change.operator, change.repeated) == ("0.36", "ann", is_repeated)
    assert await audited(office) == [("CorrectCall", RECORD.call_id, "ann")]
    assert await list_corrections(office, operator(), ListCorrections(RECORD.call_id)) == [
        msgspec.structs.replace(change, repeated=False)
    ]


async def test_the_tax_on_a_corrected_fee_is_by_the_rate_of_the_latest_correction(office: Office) -> None:
    """As behind a run of rating again, which has found another tax rate."""
    rated = ChargeChange(CUSTOMER, 0, Amounts(Decimal(2), Decimal("0.32"), 60), Decimal(16))
    await office.stores.corrections.book([Correction(RECORD.call_id, (rated,), "rerate-1", "ann", "tax", NOW)])
    charges = (WantedCharge(role=CUSTOMER, fee=Decimal(1)),)
    order = CorrectCall(call_id=RECORD.call_id, charges=charges, memo="why", reference="t1")
    (change,) = (await correct_call(office, operator("ann"), order)).changes
    assert (change.tax_before, change.tax_after) == ("0.32", "0.16")
    assert (change.tax_rate_before, change.tax_rate_after) == ("16.00", "16.00")
    later = ChargeChange(CUSTOMER, 0, Amounts(Decimal(3), Decimal("0.63"), 60), Decimal(21))
    await office.stores.corrections.book([Correction(RECORD.call_id, (later,), "rerate-2", "ann", "tax", NOW)])
    listed = await list_corrections(office, operator(), ListCorrections(RECORD.call_id))
    assert [(each.tax_rate_before, each.tax_rate_after) for each in listed] == [
        (None, "16.00"),
        ("16.00", "16.00"),
        ("16.00", "21.00"),
    ]
    (again,) = (await correct_call(office, operator("ann"), order)).changes
    assert (again.tax_after, again.repeated) == ("0.16", True)


async def test_a_fee_so_small_that_its_tax_rounds_to_zero_leaves_the_tax_rate_as_it_is(office: Office) -> None:
    found = []
    for fee, tax in (("0.02", None), ("0.36", None), ("0.02", "0.00"), ("0.62", None), ("0.36", "0"), ("0.62", None)):
        charge = WantedCharge(role=CUSTOMER, fee=Decimal(fee), tax=tax and Decimal(tax))
        order = CorrectCall(call_id=IN_CENTS.call_id, charges=(charge,), memo="why")
        (change,) = (await correct_call(office, operator("ann"), order)).changes
        found.append((change.tax_after, change.tax_rate_after, change.amount))
    assert found == [
        ("0.00", None, "0.66"),
        ("0.04", None, "-0.38"),
        ("0.00", None, "0.38"),
        ("0.06", None, "-0.66"),
        ("0.00", "0.00", "0.32"),
        ("0.00", "0.00", "-0.26"),  # struck out, until a tax is said
    ]


@pytest.mark.parametrize(
    ("charge", "shown"),
    [
        (WantedCharge(role=CUSTOMER, fee=Decimal("0.337")), "0.337"),
        (WantedCharge(role=CUSTOMER, tax=Decimal("0.001")), "0.001"),
        (WantedCharge(role=CUSTOMER, fee=Decimal("0.33"), tax=Decimal("0.0335")), "0.0335"),
    ],
)
async def test_a_correction_has_no_more_decimals_than_its_charge(
    office: Office, charge: WantedCharge, shown: str
) -> None:
    for is_trial in (True, False):
        order = CorrectCall(call_id=IN_CENTS.call_id, charges=(charge,), memo="why", is_trial=is_trial)
        with pytest.raises(OrderError, match=f"{shown} has more decimals than USD of account customer-3: 2$"):
            await correct_call(office, operator(), order)
    assert await audited(office) == []


async def test_an_amount_that_the_charge_has_already_may_have_any_decimals_and_a_repeat_too(office: Office) -> None:
    finer = ChargeChange(CUSTOMER, 0, Amounts(Decimal("0.337"), Decimal("0.034"), 60), Decimal(10))
    await office.stores.corrections.book([Correction(IN_CENTS.call_id, (finer,), "finer", "ann", "by hand", NOW)])
    as_it_was = WantedCharge(role=CUSTOMER, fee=Decimal("0.337"), tax=Decimal("0.034"), billed_seconds=60)
    order = CorrectCall(call_id=IN_CENTS.call_id, charges=(as_it_was,), memo="by hand", reference="finer")
    (change,) = (await correct_call(office, operator(), order)).changes
    assert change.repeated
    shorter = msgspec.structs.replace(as_it_was, billed_seconds=59)
    order = CorrectCall(call_id=IN_CENTS.call_id, charges=(shorter,), memo="why")
    (change,) = (await correct_call(office, operator(), order)).changes
    assert (change.fee_after, change.billed_seconds_after) == ("0.337", 59)
    later = WantedCharge(role=CUSTOMER, fee=Decimal("0.34"))
    await correct_call(office, operator(), CorrectCall(call_id=IN_CENTS.call_id, charges=(later,), memo="why"))
    order = CorrectCall(call_id=IN_CENTS.call_id, charges=(as_it_was,), memo="by hand", reference="finer")
    (change,) = (await correct_call(office, operator(), order)).changes
    assert change.repeated, "it is answered as it was booked, whatever the charge is by now"
    back = CorrectCall(call_id=IN_CENTS.call_id, charges=(as_it_was,), memo="back")
    (change,) = (await correct_call(office, operator(), back)).changes
    assert change.fee_after == "0.337"


async def test_a_correction_above_the_limit_of_its_person_is_refused(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"ann": Decimal("0.286"), "bob": Decimal("0.28"), "chief": None}
    monkeypatch.setattr(office.definitions, "confirm_above", limits.__getitem__)

    async def correct(who: str, fee: str, reference: str | None = None, *, is_trial: bool = False) -> None:
        charge = WantedCharge(role=CUSTOMER, fee=Decimal(fee))
        order = CorrectCall(
            call_id=RECORD.call_id, charges=(charge,), memo="why", reference=reference, is_trial=is_trial
        )
        await correct_call(office, operator(who), order)

    for fee in ("0.36", "5000"):
        for is_trial in (True, False):
            with pytest.raises(AboveLimitError, match=r"more than billing.confirm_above of 0.28"):
                await correct("bob", fee, is_trial=is_trial)
    assert await audited(office) == []
    await correct("ann", "0.36", "t1")
    await correct("bob", "0.36", "t1")  # a repeat books nothing
    await correct("bob", "0.40")
    await correct("chief", "5000")
    assert [name for _, _, name in await audited(office)] == ["chief", "bob", "ann"]


async def test_a_run_that_books_leaves_one_line_in_the_audit_and_a_repeat_none(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vosd.admin.office.rerating.CALLS_AT_ONCE", 1)
    await book_call_of_acme(office, 4, "1.20")
    found = await rerate_calls(office, operator("ann"), RerateCalls(**SPAN, account="acme"), ignore)
    assert (found.calls, found.differ, found.booked) == (2, 2, msgspec.UNSET)
    order = RerateCalls(**SPAN, account="acme", book=True, memo="wrong rates", reference="today")
    passed: list[int] = []
    booked = (await rerate_calls(office, operator("ann"), order, lambda calls, _: passed.append(calls))).booked
    assert (booked.reference, booked.charges, passed) == ("rerate-today", 2, [2])
    again = (await rerate_calls(office, operator("ann"), order, ignore)).booked
    assert (again.charges, await audited(office)) == (0, [("RerateCalls", "rerate-today", "ann")])


@pytest.mark.parametrize(("held", "is_booked"), [(5, True), (6, False)])
async def test_a_run_waits_for_rows_that_another_transaction_holds(
    office: Office, held: int, *, is_booked: bool
) -> None:
    order = RerateCalls(**SPAN, account="acme", book=True, memo="wrong rates")
    with colliding(office.stores.database, "INTO cdr_correction", lambda before: before < held, LOCKED):
        if not is_booked:
            with pytest.raises(RowsLocked):
                await rerate_calls(office, operator("ann"), order, ignore)
            return
        assert (await rerate_calls(office, operator("ann"), order, ignore)).booked.charges == 1
    assert len(await audited(office)) == 1


async def test_a_run_by_another_group_is_refused_above_the_limit_of_its_person(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = next(iter(office.definitions.catalogue().rate_groups))
    shown: list[tuple[int, float]] = []
    limits = {"ann": Decimal("0.10"), "bob": Decimal("0.09")}
    monkeypatch.setattr(office.definitions, "confirm_above", limits.__getitem__)

    async def booked(who: str, **more: str) -> int:
        order = RerateCalls(**SPAN, account="acme", book=True, memo="wrong group", **more)
        passed = lambda calls, at: shown.append((calls, (order.until - at) / (order.until - order.since)))  # noqa: E731
        return (await rerate_calls(office, operator(who), order, passed)).booked.charges

    said = r"^account acme would be corrected by 0.10, more than billing.confirm_above of 0.09: a person with a higher"
    with pytest.raises(AboveLimitError, match=said):
        await booked("bob", deck=group)
    assert await audited(office) == []
    shown.clear()
    assert await booked("ann", deck=group) == 1
    (tried, half), (calls, end) = shown
    assert (tried, calls) == (0, 1), "the trial is half of the way, and counts no calls"
    assert end - half == pytest.approx(0.5)
    assert await booked("bob", deck=group) == 0, "a repeat books nothing"


async def book_call_of_acme(office: Office, index: int, fee: str, **changes: object) -> None:
    """Book a call of a minute that costs 0.60 by each rate group."""
    call = answered_call(index, customer_account="acme", mapping_gateway="acme", vendor_account="vendor")
    charges, amount = (charge_row("acme", CUSTOMER, 0, Decimal(fee)),), Decimal(fee)
    postings = (Posting("acme", -amount, f"call/{index}", "USD"),)
    values = {"fee": amount, "charges": charges, "postings": postings, **changes}
    await office.stores.books.book([msgspec.structs.replace(call, **values)])


async def test_a_run_is_over_the_calls_of_its_span_and_number_by_the_rates_that_are_named(office: Office) -> None:
    for index in (4, 5, 6):
        await book_call_of_acme(office, index, "0.60", started_at=NOW - 10 + index, callee_billing=f"442{index}")

    async def rated(**order: Any) -> tuple[int, str]:
        found = await rerate_calls(office, operator(), RerateCalls(account="acme", **order), ignore)
        return found.calls, found.accounts[0].after

    span = {"since": NOW - 5, "until": NOW - 4}
    assert await rated(**span) == (1, "0.60")
    assert await rated(**span, deck="buy") == (1, "0.30")
    assert await rated(since=NOW - 6, until=NOW - 4, deck="buy") == (2, "0.60")
    assert await rated(since=NOW - 6, until=NOW, deck="buy", limit=2) == (2, "0.60")
    assert await rated(since=NOW - 6, until=NOW, deck="buy", prefix="4426") == (1, "0.30")
    with pytest.raises(UnknownNameError, match="no rate group 'other'"):
        await rated(**span, deck="other")


UNRATED: Final = {"rate_group": None, "charges": (), "postings": ()}


@pytest.mark.parametrize(
    ("dear", "limit", "sum_booked"),
    [
        ("1.20", "0.49", "0.50"),  # 0.60 given back, 0.10 taken; the call without a rate would take 0.60
        ("0.60", "0.09", "-0.10"),
    ],
)
async def test_the_limit_of_a_run_is_that_of_what_it_books(
    office: Office, monkeypatch: pytest.MonkeyPatch, dear: str, limit: str, sum_booked: str
) -> None:
    await book_call_of_acme(office, 4, dear)
    await book_call_of_acme(office, 5, "0", **UNRATED)
    group = next(iter(office.definitions.catalogue().rate_groups))
    limits = {"ann": abs(Decimal(sum_booked)), "bob": Decimal(limit)}
    monkeypatch.setattr(office.definitions, "confirm_above", limits.__getitem__)
    order = RerateCalls(**SPAN, account="acme", book=True, memo="wrong group", deck=group)
    said = f"^account acme would be corrected by {abs(Decimal(sum_booked))}, more than billing.confirm_above of {limit}"
    with pytest.raises(AboveLimitError, match=said):
        await rerate_calls(office, operator("bob"), order, ignore)
    assert await audited(office) == []
    booked = (await rerate_calls(office, operator("ann"), order, ignore)).booked
    assert [(each.account, each.amount) for each in booked.accounts] == [("acme", sum_booked)]


async def test_what_a_repeated_run_leaves_as_it_is_counts_for_no_limit(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = next(iter(office.definitions.catalogue().rate_groups))
    order = RerateCalls(
        **SPAN, account="acme", book=True, memo="why", deck=group, reference="today", corrected_too=True
    )
    await rerate_calls(office, operator("ann"), order, ignore)
    (call,) = [each async for page in office.stores.spans.pages(CallFilter(account="acme")) for each in page]
    charges = (WantedCharge(role=CUSTOMER, fee=Decimal("0.30"), tax=Decimal(0)),)
    await correct_call(office, operator("ann"), CorrectCall(call_id=call.call_id, charges=charges, memo="goodwill"))
    monkeypatch.setattr(office.definitions, "confirm_above", lambda _: Decimal(0))
    booked = (await rerate_calls(office, operator("bob"), order, ignore)).booked
    assert (booked.charges, booked.repeated, booked.accounts) == (0, 1, [])


async def test_a_run_by_the_configured_rates_has_no_limit(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office.definitions, "confirm_above", lambda _: Decimal(0))
    order = RerateCalls(**SPAN, account="acme", book=True, memo="wrong rates")
    assert (await rerate_calls(office, operator(), order, ignore)).booked.charges == 1


@pytest.mark.parametrize(
    "act",
    [
        lambda office, who: correct_call(office, who, CorrectCall(call_id="a", charges=FREE, memo="why")),
        lambda office, who: list_corrections(office, who, ListCorrections(call_id(1))),
        lambda office, who: rerate_calls(office, who, RerateCalls(**SPAN), ignore),
    ],
)
async def test_an_agent_corrects_and_rates_nothing(
    office: Office, act: Callable[[Office, Principal], Awaitable[object]]
) -> None:
    with pytest.raises(OperatorsOnlyError):
        await act(office, agent("south"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: CorrectCall(call_id="a", charges=FREE, memo=" "),
        lambda: CorrectCall(call_id="a", charges=(), memo="why"),
        lambda: CorrectCall(call_id="a", charges=FREE, memo="why", reference=""),
        lambda: CorrectCall(call_id="a", charges=FREE, memo="why", reference="rerate-x"),
        lambda: WantedCharge(role=CUSTOMER, fee=Decimal("-0.01")),
        lambda: WantedCharge(role=CUSTOMER, tax=Decimal(-1)),
        lambda: WantedCharge(role=CUSTOMER, billed_seconds=-1),
        lambda: RerateCalls(**SPAN, book=True),
        lambda: RerateCalls(**SPAN, memo="why"),
        lambda: RerateCalls(**SPAN, prefix="+44"),
        lambda: RerateCalls(**SPAN, prefix="\N{FULLWIDTH DIGIT FOUR}"),
        lambda: RerateCalls(**SPAN, deck="sell"),
        lambda: RerateCalls(**SPAN, reference="run"),
        lambda: RerateCalls(**SPAN, book=True, memo="why", reference="x" * 60),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_before_anything_is_read(make: Callable[[], object]) -> None:
    with pytest.raises(OrderError):
        make()
