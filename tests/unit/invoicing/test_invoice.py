"""Lines, taxes and movements of an invoice, and the credit note that takes it back."""

from decimal import Decimal
from typing import Any

import pytest

from vosd.base.money import ZERO
from vosd.billing.invoice_terms import InvoiceLines
from vosd.invoicing.invoice import (
    CARRIED,
    MOVEMENTS_MAX,
    ChargedSum,
    InvoiceDocument,
    InvoiceLine,
    InvoiceParty,
    InvoiceSection,
    InvoiceSums,
    InvoiceUnsoundError,
    LedgerPart,
    Moved,
    MovementLine,
    TaxedAmount,
    TaxLine,
    moved_between_tax_rates,
    summed,
    taken_back,
)

CALLS = ChargedSum(
    InvoiceSection.CALLS,
    "London",
    "44",
    Decimal("1.00"),
    "minute",
    Decimal(20),
    1,
    60,
    Decimal("1.00"),
    Decimal("0.20"),
)
BEFORE = TaxedAmount(None, Decimal("1.00"), Decimal("0.20"))
AFTER = TaxedAmount(Decimal(10), Decimal("0.50"), Decimal("0.05"))


def sums_of(*charged: ChargedSum, moved: tuple[Moved, ...] = (), by: InvoiceLines = InvoiceLines.PREFIX) -> InvoiceSums:
    total = sum((each.amount for each in moved), ZERO) - sum((each.net + each.tax for each in charged), ZERO)
    return summed(LedgerPart(Decimal(7), charged, moved, total), by)


def corrected(section: InvoiceSection, calls: int) -> list[ChargedSum]:
    """Return the difference of a correction at the tax rate of its call, and what moves it to another one."""
    like = CALLS._replace(section=section, calls=1, seconds=60, net=ZERO, tax=ZERO)
    difference = like._replace(calls=calls, seconds=0, net=AFTER.net - BEFORE.net, tax=AFTER.tax - BEFORE.tax)
    return [difference, *moved_between_tax_rates(like, BEFORE, AFTER)]


@pytest.mark.parametrize(
    ("by", "other", "lines"),
    [
        (InvoiceLines.AREA, {}, [("", "99", "1.00"), ("London", "", "1.00")]),
        (InvoiceLines.AREA, {"price": Decimal("0.50")}, [("", "99", "1.00"), ("London", "", None)]),
        (InvoiceLines.AREA, {"calls": 0}, [("", "99", "1.00"), ("London", "", None)]),
        (InvoiceLines.PREFIX, {}, [("", "99", "1.00"), ("London", "44", "1.00"), ("London", "4420", "1.00")]),
        (
            InvoiceLines.PREFIX,
            {"section": InvoiceSection.CORRECTIONS},
            [("", "99", "1.00"), ("London", "44", "1.00"), ("London", "4420", None)],
        ),
    ],
)
def test_lines_are_by_area_or_prefix_and_name_the_price_that_all_their_calls_have(
    by: InvoiceLines, other: dict[str, Any], lines: list[tuple[str, str, str | None]]
) -> None:
    found = sums_of(CALLS, CALLS._replace(prefix="4420")._replace(**other), CALLS._replace(area="", prefix="99"), by=by)
    assert [(each.area, each.prefix, each.price) for each in found.lines] == lines
    assert [each.per for each in found.lines] == [price and "minute" for *_, price in lines]


def test_calls_of_rates_without_area_are_told_apart_by_their_prefixes_on_lines_by_area() -> None:
    found = sums_of(*(CALLS._replace(area="", prefix=prefix) for prefix in ("98", "99", "99")), by=InvoiceLines.AREA)
    assert [(each.prefix, each.calls, each.net) for each in found.lines] == [("98", 1, "1.00"), ("99", 2, "2.00")]


def test_of_one_prefix_the_calls_by_a_price_of_another_currency_come_first() -> None:
    dear, converted = CALLS._replace(price=Decimal(2)), CALLS._replace(price=None, per=None)
    found = sums_of(dear, CALLS, converted).lines
    assert [(each.price, each.per) for each in found] == [(None, None), ("1.00", "minute"), ("2.00", "minute")]


def test_what_calls_of_a_partner_have_earned_is_a_sum_of_its_own() -> None:
    moved = Moved("", CARRIED, "", "", Decimal(3)), Moved("2026-10-01", "payment", "p", "", Decimal(5))
    assert sums_of(moved=moved).carried == Decimal(3)


def test_a_call_that_was_corrected_to_another_tax_rate_stands_there_alone() -> None:
    found = sums_of(CALLS, *corrected(InvoiceSection.CALLS, 0))
    (line,) = found.lines
    assert (line.tax_rate, line.calls, line.seconds, line.net, line.price, line.per) == (
        "10",
        1,
        60,
        "0.50",
        None,
        None,
    )
    assert found.taxes == (TaxLine("10", "0.50", "0.05"),)
    assert (found.net, found.tax, found.gross, found.closing) == (
        Decimal("0.50"), Decimal("0.05"), Decimal("0.55"), Decimal("6.45"),
    )  # fmt: skip


def test_a_correction_of_an_earlier_invoice_counts_at_each_of_its_tax_rates() -> None:
    found = sums_of(*corrected(InvoiceSection.CORRECTIONS, 1))
    assert [(each.tax_rate, each.calls, each.seconds, each.net) for each in found.lines] == [
        ("10", 1, 0, "0.50"), ("20", 1, 0, "-1.00"),
    ]  # fmt: skip
    assert found.taxes == (TaxLine("10", "0.50", "0.05"), TaxLine("20", "-1.00", "-0.20"))


def test_taxes_are_by_rate_and_those_of_an_unknown_one_last() -> None:
    charged = [CALLS._replace(tax_rate=rate) for rate in (None, Decimal(20), Decimal("7.50"), Decimal(0))]
    assert [each.rate for each in sums_of(*charged).taxes] == ["0", "7.5", "20", None]


@pytest.mark.parametrize("more", [0, 1])
def test_movements_are_listed_one_by_one_or_by_kind_where_they_are_very_many(more: int) -> None:
    refunds = [Moved("2026-10-02", "refund", f"r{number}", "", Decimal("-0.50")) for number in range(9)]
    count = MOVEMENTS_MAX - len(refunds) + more
    payments = [Moved("2026-10-01", "payment", f"p{number}", "", Decimal(2)) for number in range(count)]
    found = sums_of(moved=(*refunds, *payments)).movements
    if more:
        assert found == (
            MovementLine("", "payment", "", "", f"{2 * count}.00"), MovementLine("", "refund", "", "", "-4.50"),
        )  # fmt: skip
    else:
        assert [each.reference for each in found] == [each.reference for each in (*refunds, *payments)]


def test_no_invoice_is_made_of_charges_that_have_not_moved_the_balance_so() -> None:
    with pytest.raises(InvoiceUnsoundError, match=r"the charges are 1\.20 and the movements 0\.00, .* moved by -1\.19"):
        summed(LedgerPart(ZERO, [CALLS], [], Decimal("-1.19")), InvoiceLines.AREA)


def test_a_credit_note_has_all_figures_of_its_invoice_with_the_other_sign_and_asks_for_no_payment() -> None:
    line = InvoiceLine(
        section=InvoiceSection.CALLS, area="London", prefix="44", price="1.00", per="minute", tax_rate="20", calls=3,
        seconds=180, net="3.00",
    )  # fmt: skip
    party = InvoiceParty(account="", name="Carrier")
    issued = InvoiceDocument(
        kind="invoice", number="2026-1", cancels="", issuer=party, recipient=party, period="2026-10",
        first_day="2026-10-01", last_day="2026-10-31", zone="UTC", issued_on="2026-11-02", due_on="2026-11-16",
        currency="EUR", language="en", lines=(line,), taxes=(TaxLine("20", "3.00", "0.60"),), net="3.00", tax="0.60",
        gross="3.60", opening="0.00", movements=(MovementLine("", "payment", "", "", "1.00"),), closing="-2.60",
    )  # fmt: skip
    note = taken_back(issued)
    (taken,) = note.lines
    assert (taken.calls, taken.seconds, taken.net, taken.price) == (-3, -180, "-3.00", "1.00")
    assert note.taxes == (TaxLine("20", "-3.00", "-0.60"),)
    assert (note.kind, note.number, note.cancels, note.issued_on, note.due_on) == ("credit_note", "", "2026-1", "", "")
    assert (note.net, note.tax, note.gross, note.movements) == ("-3.00", "-0.60", "-3.60", ())
