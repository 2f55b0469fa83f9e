"""The questions about fees in docs/rating.md: each row of the table is rated as the switch rates it."""

import re
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from vosd.billing.rater import rate_call
from vosd.config.excerpt import Excerpt

PAGE = Path(__file__).parents[2] / "docs" / "rating.md"
_ROW = re.compile(r"\| [^|]+\? \| `([^|]*)` \| ([\d.]+) s \| (\d+) s \| ([\d.]+) \| ([\d.]+) \| [^|]+ \|\Z")


class Question(NamedTuple):
    group: str
    duration_ms: int
    billed_s: int
    fee: Decimal
    tax: Decimal


def questions() -> list[Question]:
    """Return the rows of the table."""
    found = []
    for line in PAGE.read_text().splitlines():
        row = _ROW.match(line)
        if row is not None:
            group, duration, billed, fee, tax = row.groups()
            found.append(Question(group, round(Decimal(duration) * 1_000), int(billed), Decimal(fee), Decimal(tax)))
    return found


@pytest.mark.parametrize("question", questions(), ids=lambda question: f"{question.group} {question.duration_ms}")
def test_a_question_about_fees_has_the_figures_of_the_page(tmp_path: Path, question: Question) -> None:
    keys, _, rate = question.group.partition("; ")
    path = tmp_path / "vosd.yaml"
    path.write_text(
        f"rate_groups: [{{name: sell, {keys + ', ' if rate else ''}rates: [{{prefix: '44', {rate or keys}}}]}}]\n"
        "accounts: [{id: acme, rate_group: sell}]\n"
    )
    excerpt = Excerpt(path, {})
    rates = excerpt.rates_of(excerpt.accounts()["acme"])
    assert rates is not None
    applied = rates.find("4420", 0)
    assert applied is not None
    charge = rate_call(applied, question.duration_ms)
    assert (charge.billed_seconds, charge.fee, charge.tax) == question[2:]


def test_the_page_has_such_questions() -> None:
    assert len(questions()) >= 12


@pytest.mark.parametrize(
    ("main", "private", "fee", "tax"),
    [
        ('billing_rate: "0.60", billing_cycle: 1', 'billing_rate: "0.50", billing_cycle: 60', "0.10", "0"),
        (
            'billing_rate: "0.66", billing_cycle: 1',
            'billing_rate: "0.60", billing_cycle: 1, tax_rate: "19"',
            "0.11",
            "0",
        ),
    ],
)
def test_the_cheapest_rate_is_that_of_the_least_fee_and_tax_of_the_call(
    tmp_path: Path, main: str, private: str, fee: str, tax: str
) -> None:
    path = tmp_path / "vosd.yaml"
    path.write_text(
        f"rate_groups: [{{name: sell, rates: [{{prefix: '44', {main}}}]}},"
        f" {{name: own, rates: [{{prefix: '44', {private}}}]}}]\n"
        "accounts: [{id: acme, rate_group: sell, private_rate_group: own}]\n"
    )
    excerpt = Excerpt(path, {})
    rates = excerpt.rates_of(excerpt.accounts()["acme"])
    assert rates is not None
    applied = rates.find("4420", 0)
    assert applied is not None
    charge = rate_call(applied, 10_000)
    assert (charge.fee, charge.tax) == (Decimal(fee), Decimal(tax))
