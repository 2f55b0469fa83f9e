"""The worked examples of money that is booked by hand, through the functions that book it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from doubles.memory.store import MemoryStore

from vosd.billing.accounts import DAY_MS, NEVER, extended, shortfall
from vosd.storage.ports import EntryKind, Payment

from .test_vectors_billing import of


def day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000


@of("expiry_extend")
async def test_a_payment_extends_the_validity_of_its_account(given, expect):
    days = given["SERVER_PAY_DELAY_CUSTOMER_EXPIRE_DAY"]
    expires_at, paid_at = day(given["expire"]), day(given["paid_on"])
    assert extended(expires_at, paid_at, days) == day(expect["expire"])
    payment = Payment(
        account="acme",
        kind=EntryKind.PAYMENT,
        reference="r",
        made_at=paid_at,
        amount=Decimal(5),
        extends_days=days,
        configured_expiry=expires_at,
    )
    store = MemoryStore()
    receipt = await store.add(payment)
    assert (receipt.expires_at or expires_at) == day(expect["expire"])
    assert (await store.standings()).expiries.get("acme", expires_at) == day(expect["expire"])


@pytest.mark.parametrize(
    ("expires_at", "paid_at", "days", "expected"),
    [
        (None, 5, 30, None),
        (NEVER, 5, 30, NEVER),
        (5, 5, 1, 5 + DAY_MS),
        (4, 5, 1, 5 + DAY_MS),
        (6, 5, 1, 6 + DAY_MS),
        (NEVER - 1, 5, 1, NEVER),
        (6, 5, 0, 6),
        (4, 5, 0, 4),
    ],
)
def test_the_later_of_now_and_the_expiry_is_extended(expires_at, paid_at, days, expected):
    assert extended(expires_at, paid_at, days) == expected


@of("minimum_consumption")
async def test_what_a_month_lacks_of_the_minimum_is_charged(given, expect):
    missing = shortfall(Decimal(given["monthly_min"]), Decimal(given["consumed_last_month"]))
    assert missing == Decimal(expect["charged"])
    assert Decimal(given["balance"]) - missing == Decimal(expect["balance_after"])
