"""Paid amounts of invoices."""

from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Decimal

import pytest
from hypothesis import example, given, strategies as st

from vosd.base.money import ZERO
from vosd.invoicing.numbers import BadFormError, NumberForm
from vosd.invoicing.settlement import (
    Credit,
    InvoiceState,
    Owed,
    name_in_reference,
    paid_of,
    reference_of_undo,
    state_of,
    undone_entry,
)


def owes(number: str, gross: int | str | Decimal, currency: str = "EUR", id_: int | None = None) -> Owed:
    return Owed(int(number.lstrip("N")) if id_ is None else id_, number, Decimal(gross), currency)


CENT = Decimal("0.01")
amounts = st.integers(-50_000, 200_000).map(lambda units: Decimal(units) / 1_000)
invoices = st.lists(st.integers(0, 90_000).map(lambda units: Decimal(units) / 1_000), max_size=6).map(
    lambda found: [owes(f"N{index % 4}", gross, id_=index) for index, gross in enumerate(found)]
)
plain = ["", "bank"]
references = st.sampled_from(
    [*plain, "invoice/N0", "invoice/N1 x", "invoice/N2", "invoice/{2}", "invoice/{5} y", "invoice/N99"]
)
credits_of_all_kinds = st.builds(Credit, references, amounts, st.booleans(), st.just(False))


def test_money_goes_to_the_oldest_and_a_named_payment_to_its_own() -> None:
    owed = [owes("1", 10), owes("2", 20), owes("3", 30)]
    paid = paid_of(ZERO, owed, [Credit("invoice/3 bank 7", Decimal(12)), Credit("", Decimal(15))])
    assert paid == [Decimal(10), Decimal(5), Decimal(12)]


def test_what_a_named_payment_is_too_much_goes_to_the_others() -> None:
    owed = [owes("1", 10), owes("2", 20)]
    assert paid_of(ZERO, owed, [Credit("invoice/2", Decimal(26))]) == [Decimal(6), Decimal(20)]


def test_invoices_of_two_issuers_with_one_number_are_paid_apart() -> None:
    owed = [owes("1", 10, id_=3), owes("2", 20, id_=4), owes("1", 30, id_=5)]
    assert [name_in_reference(each, owed) for each in owed] == ["1", "2", "{5}"]
    assert paid_of(ZERO, owed, [Credit("invoice/{5} bank", Decimal(30))]) == [ZERO, ZERO, Decimal(30)]
    assert paid_of(ZERO, owed, [Credit("invoice/{3}", Decimal(10))]) == [Decimal(10), ZERO, ZERO]
    before = [Credit("invoice/1", Decimal(10)), Credit("invoice/1 bank", Decimal(25))]
    assert paid_of(ZERO, owed, before) == [Decimal(10), ZERO, Decimal(25)]
    back = Credit("invoice/{5} return", Decimal(-7), is_refund=True)
    assert paid_of(ZERO, owed, [*before, back]) == [Decimal(10), ZERO, Decimal(18)]
    assert paid_of(ZERO, owed, [*before, Credit("invoice/{5}", Decimal(9))]) == [Decimal(10), Decimal(4), Decimal(30)]


def test_a_number_that_looks_like_an_id_is_a_number() -> None:
    number = NumberForm("#{number}").written(date(2026, 11, 2), 31)
    owed = [owes(number, 10, id_=4), owes("1", 20, id_=31), owes(number, 30, id_=32)]
    assert paid_of(ZERO, owed, [Credit("invoice/#31", Decimal(10))]) == [Decimal(10), ZERO, ZERO]
    assert [name_in_reference(each, owed) for each in owed] == ["#31", "1", "{32}"]
    with pytest.raises(BadFormError):
        NumberForm("{{number}}")


@pytest.mark.parametrize("reference", ["return 77", "invoice/1 return", "invoice/9"])
def test_a_payment_that_the_bank_takes_back_pays_nothing(reference: str) -> None:
    credits = [Credit("invoice/1", Decimal(26)), Credit(reference, Decimal(-26), is_refund=True)]
    for opening in (ZERO, Decimal(-8)):
        assert paid_of(opening, [owes("1", 20), owes("2", 5)], credits) == [ZERO, ZERO]
        assert paid_of(opening, [owes("1", 20), owes("2", 5)], credits[:1])[0] == Decimal(20)


def test_money_that_is_taken_back_was_that_of_the_newest_invoice() -> None:
    owed = [owes("1", 10), owes("2", 20)]
    named = [Credit("invoice/1", Decimal(10)), Credit("invoice/2", Decimal(20))]
    assert paid_of(ZERO, owed, [*named, Credit("", Decimal(-12), is_refund=True)]) == [Decimal(10), Decimal(8)]
    assert paid_of(ZERO, owed, [*named, Credit("invoice/1 return", Decimal(-10))]) == [ZERO, Decimal(20)]


@pytest.mark.parametrize("opening", [ZERO, Decimal(-40)])
def test_a_transfer_to_another_account_takes_no_named_payment_back(opening: Decimal) -> None:
    owed = [owes("1", 100), owes("2", 30)]
    moved = [Credit("invoice/1", Decimal(100)), Credit("t-1", Decimal(-60))]
    assert paid_of(opening, owed, moved) == [Decimal(100), ZERO]
    assert paid_of(opening, owed, [*moved, Credit("r", Decimal(-10), is_refund=True)]) == [Decimal(90), ZERO]
    # Money that names no invoice was there for the refund, as far as the transfer has not taken it.
    more = [*moved, Credit("bank", Decimal(75)), Credit("r", Decimal(-15), is_refund=True)]
    assert paid_of(opening, owed, more) == [Decimal(100), ZERO]


@pytest.mark.parametrize(
    ("credits", "paid"),
    [
        pytest.param(
            [Credit("bank", Decimal(22)), Credit("invoice/1 return", Decimal(-4), is_refund=True)],
            [10, 8, 0],
            id="more taken back than was paid by name",
        ),
        pytest.param(
            [Credit("invoice/2", Decimal(20)), Credit("invoice/{5}", Decimal(30)), Credit("", Decimal(-12), True)],
            [0, 20, 18],
            id="a refund from the newest alone",
        ),
        pytest.param(
            [Credit("invoice/1", Decimal(10)), Credit("invoice/{3}", Decimal(10))],
            [10, 0, 10],
            id="money for an id before that for its number",
        ),
        pytest.param(
            [Credit("invoice/{3}", Decimal(10)), Credit("invoice/{5}", Decimal(30)), Credit("invoice/1", Decimal(-5))],
            [10, 0, 25],
            id="money for a number taken back from the newest",
        ),
    ],
)
def test_which_invoice_money_for_a_name_pays_and_which_it_leaves(credits: list[Credit], paid: list[int]) -> None:
    owed = [owes("1", 10, id_=3), owes("2", 20, id_=4), owes("1", 30, id_=5)]
    assert paid_of(ZERO, owed, credits) == paid


def test_an_older_debt_comes_before_the_first_invoice() -> None:
    assert paid_of(Decimal(-8), [owes("1", 10)], [Credit("", Decimal(15))]) == [Decimal(7)]


def test_an_invoice_below_zero_is_money_for_the_others() -> None:
    owed = [owes("1", 10), owes("2", -4)]
    assert paid_of(ZERO, owed, []) == [Decimal(4), ZERO]
    assert state_of(Decimal(-4), ZERO, "EUR", 0, 1) is InvoiceState.PAID


@pytest.mark.parametrize(
    ("currency", "amount", "is_paid"),
    [
        ("EUR", "28.43", True), ("EUR", "28.44", True), ("EUR", "28.42", False), ("JPY", "28", True),
        ("JPY", "27", False), ("KWD", "28.435", True), ("KWD", "28.43", False), ("credits", "28.43", True),
    ],
)  # fmt: skip
def test_an_invoice_is_paid_where_less_than_the_smallest_unit_of_its_currency_is_missing(
    currency: str, amount: str, is_paid: bool
) -> None:
    gross = Decimal("28.435636")
    (paid,) = paid_of(ZERO, [owes("1", gross, currency)], [Credit("", Decimal(amount))])
    assert paid == min(gross, Decimal(amount)), "the exact amount is shown"
    assert (state_of(gross, paid, currency, 0, 1) is InvoiceState.PAID) == is_paid


@pytest.mark.parametrize(
    ("currency", "amount", "state"),
    [("EUR", "28.44", "open"), ("EUR", "28.445635", "open"), ("EUR", "28.445636", "part_paid"), ("JPY", "29", "open"),
     ("KWD", "28.437", "part_paid")],
)  # fmt: skip
def test_the_rest_of_the_money_for_an_invoice_leaves_the_next_one_open(currency: str, amount: str, state: str) -> None:
    gross = Decimal("28.435636")
    owed = [owes("1", gross, currency), owes("2", gross, currency)]
    paid = paid_of(ZERO, owed, [Credit("invoice/1", Decimal(amount))])
    assert state_of(gross, paid[1], currency, 1, 0) is InvoiceState(state)
    exact = paid_of(ZERO, owed, [Credit("", gross)])
    assert state_of(gross, exact[1], currency, 1, 0) is InvoiceState.OPEN


@given(
    st.lists(st.integers(0, 90_000_000).map(lambda units: Decimal(units) / 1_000_000), max_size=30),
    st.sampled_from([ROUND_DOWN, ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_UP]),
    st.booleans(),
    st.integers(1, 30),
    st.integers(0, 3_000_000).map(lambda units: Decimal(units) / 1_000_000),
    st.booleans(),
)
@example([Decimal("0.045621")] * 2, ROUND_DOWN, False, 30, Decimal("0.005621"), True)
@example([Decimal("0.045621")] * 2, ROUND_DOWN, False, 30, Decimal("0.005621"), False)
@example([Decimal("28.435636"), Decimal("50.009")], ROUND_DOWN, True, 1, ZERO, True)
def test_who_pays_each_invoice_in_whole_cents_has_paid_all(
    sums: list[Decimal], rounded: str, is_named: bool, numbers: int, debt: Decimal, is_older: bool
) -> None:
    cent = CENT
    owed = [owes(f"N{index % numbers}", gross, id_=index) for index, gross in enumerate(sums)]
    credits = [
        Credit(f"invoice/{each.number}" if is_named else "bank", each.gross.quantize(cent, rounded)) for each in owed
    ]
    taken = [] if is_older else [Credit("adjustment", -debt)]
    opening = -debt if is_older else ZERO
    covered = Credit("covers the debt", debt.quantize(cent, ROUND_DOWN))
    paid = paid_of(opening, owed, [*credits, covered, *taken])
    exact = [Credit(f"invoice/{each.number}", each.gross) for each in owed]
    assert paid_of(opening, owed, [*exact, *taken]) == sums
    states = {state_of(each.gross, amount, "EUR", 0, 1) for each, amount in zip(owed, paid, strict=True)}
    assert states <= {InvoiceState.PAID}
    money = sum((each.amount for each in credits), ZERO)
    assert min(sum(sums, ZERO), money - cent) <= sum(paid, ZERO) <= money or is_named


@pytest.mark.parametrize(
    "debt",
    [Credit("fee", Decimal("-0.005")), Credit("fee", Decimal("-0.005"), is_refund=True),
     Credit("invoice/9 return", Decimal("-0.005"))],
)  # fmt: skip
@pytest.mark.parametrize("reference", ["bank", "invoice/8"], ids=["no invoice", "a number that is no invoice here"])
def test_money_that_was_taken_back_is_owed_in_whole_units_before_invoices(debt: Credit, reference: str) -> None:
    gross, money = Decimal("28.435636"), Decimal("28.43")
    prepaid = Credit(reference, money)
    assert paid_of(ZERO, [owes("1", gross)], [prepaid, debt]) == [money]
    more = debt._replace(amount=Decimal("-0.015"))
    assert paid_of(ZERO, [owes("1", gross)], [prepaid, more]) == [Decimal("28.42")]
    assert paid_of(Decimal("-0.006"), [owes("1", gross)], [prepaid, debt]) == [Decimal("28.42")]


def test_the_undo_of_money_that_was_taken_away_leaves_no_rest_of_it() -> None:
    owed, fee = [owes("1", "28.435636")], Credit("fee", Decimal("-0.005"))
    undone = Credit(reference_of_undo("fee", 7), Decimal("0.005"))
    paid = Credit("bank", Decimal("28.425")), Credit("wrong", Decimal(3)), Credit("undo 8", Decimal(-3))
    assert paid_of(ZERO, owed, [*paid, fee, undone]) == [Decimal("28.425")]
    assert paid_of(ZERO, owed, [*paid, Credit("fee", Decimal("-0.015")), undone]) == [Decimal("28.415")]


def test_a_refund_below_a_unit_takes_its_amount_from_a_named_payment_once() -> None:
    credits = [Credit("invoice/1", Decimal(10)), Credit("", Decimal("-0.005"), is_refund=True)]
    assert paid_of(ZERO, [owes("1", 10)], credits) == [Decimal("9.995")]
    credits = [Credit("invoice/1", Decimal(10)), Credit("bank", Decimal("0.004")),
               Credit("", Decimal("-1.011"), is_refund=True)]  # fmt: skip
    assert paid_of(ZERO, [owes("1", 10)], credits) == [Decimal("8.997")], "the rest of what was paid back comes last"


@given(amounts, invoices, st.lists(credits_of_all_kinds, max_size=8))
def test_nothing_is_paid_twice_or_lost(opening: Decimal, owed: list[Owed], credits: list[Credit]) -> None:
    paid = paid_of(opening, owed, credits)
    assert all(ZERO <= amount <= each.gross for amount, each in zip(paid, owed, strict=True))
    money = opening + sum((each.amount for each in credits), ZERO)
    whole = sum((each.gross for each in owed), ZERO)
    assert sum(paid, ZERO) >= min(max(money, ZERO), whole)
    # Invoices are paid before the rest of a debt, which is less than a cent.
    away = [each.amount for each in credits if each.amount < ZERO and not each.is_refund and each.reference in plain]
    assert sum(paid, ZERO) < max(money - min(opening, ZERO) - sum(away, ZERO), ZERO) + CENT
    if all(not each.reference.startswith("invoice/") for each in credits):
        assert sum(paid, ZERO) < min(max(money, ZERO), whole) + CENT
        states = [state_of(each.gross, amount, "EUR", 0, 1) for amount, each in zip(paid, owed, strict=True)]
        first_open = next((index for index, each in enumerate(states) if each is not InvoiceState.PAID), len(owed))
        assert not any(paid[first_open + 1 :])


PAID_BY_NAME_AND_A_FEE = [Credit("invoice/N0", Decimal(10)), Credit("bank", Decimal("-0.20"))]


@given(amounts, invoices, st.lists(credits_of_all_kinds, max_size=8), credits_of_all_kinds)
@example(ZERO, [owes("N0", 10)], PAID_BY_NAME_AND_A_FEE, Credit("invoice/N99", Decimal(10)))
def test_a_credit_and_its_undo_change_nothing(
    opening: Decimal, owed: list[Owed], credits: list[Credit], wrong: Credit
) -> None:
    undo = Credit(reference_of_undo(wrong.reference, 7), -wrong.amount, wrong.is_refund)
    assert paid_of(opening, owed, [*credits, wrong, undo]) == paid_of(opening, owed, credits)


PAID_BY_NAME_AND_MOVED = [Credit("invoice/N0", Decimal(100)), Credit("out", Decimal(-60))]
PAID_BY_NAME_AND_REFUNDED = [
    Credit("invoice/N0", Decimal(100)),
    Credit("bank", Decimal(40)),
    Credit("back", Decimal(-40), is_refund=True),
]


@given(amounts, invoices, st.lists(credits_of_all_kinds, max_size=8), credits_of_all_kinds)
@example(ZERO, [owes("N0", 100)], PAID_BY_NAME_AND_MOVED, Credit("invoice/N99", Decimal(40)))
@example(ZERO, [owes("N0", 10)], PAID_BY_NAME_AND_A_FEE, Credit("invoice/N99", Decimal(10)))
@example(Decimal(-100), [owes("N0", 100)], PAID_BY_NAME_AND_REFUNDED, Credit("invoice/N99", Decimal(40)))
def test_a_wrong_entry_before_the_first_invoice_and_its_undo_change_nothing(
    opening: Decimal, owed: list[Owed], credits: list[Credit], wrong: Credit
) -> None:
    undo = Credit(reference_of_undo(wrong.reference, 7), -wrong.amount, wrong.is_refund, undoes_older=True)
    assert paid_of(opening + wrong.amount, owed, [*credits, undo]) == paid_of(opening, owed, credits)


@pytest.mark.parametrize(
    ("reference", "undo"),
    [
        ("b-17", "undo 7"),
        ("", "undo 7"),
        ("invoice/2026-000017", "invoice/2026-000017 undo 7"),
        ("invoice/2026-000017 bank-3", "invoice/2026-000017 undo 7"),
        ("invoice/", "undo 7"),
    ],
)
def test_the_reference_of_an_undo_names_the_entry_and_its_invoice(reference: str, undo: str) -> None:
    assert reference_of_undo(reference, 7) == undo
    assert undone_entry(undo) == 7
    assert undone_entry(reference) is None


@pytest.mark.parametrize(
    "reference", ["7", "invoice/1 7", "undo ", "undo x", "undo 7 again", "undo7", "Undo 7", "my undo 7", "undo \u0667"]
)
def test_other_references_undo_nothing(reference: str) -> None:
    assert undone_entry(reference) is None


@pytest.mark.parametrize(
    ("paid", "now", "state"),
    [("9.991", 5, "paid"), ("9.99", 4, "part_paid"), ("9.99", 5, "overdue"), ("0", 4, "open"), ("0", 5, "overdue")],
)
def test_the_state_of_an_invoice_by_what_is_missing_and_when_it_is_due(paid: str, now: int, state: str) -> None:
    assert state_of(Decimal(10), Decimal(paid), "EUR", 5, now) is InvoiceState(state)
