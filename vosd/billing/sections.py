"""Section rates: prices of whole calls of certain lengths, instead of a first period (docs/billing.md, ADR 57)."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from vosd.base.money import ZERO, parse_amount

SECTIONS_MAX: Final = 20
SECTION_SECONDS_MAX: Final = 86_400
_FORM: Final = "amounts and seconds of whole calls, such as 0.10@60;0.18@120"


class RateSection(NamedTuple):
    """The price of a call up to a moment, all seconds before it included."""

    amount: Decimal
    until_s: int
    """Seconds from the begin of the billable time; a section is completed at this second."""


_NONE_COMPLETED: Final = RateSection(ZERO, 0)


def parse_sections(text: str) -> tuple[RateSection, ...]:
    """Parse ``0.10@60;0.18@120``: seconds rise, amounts do not fall.

    Raises:
        ValueError: it has another form, or the order is wrong; the message says what is expected.
    """
    written = text.split(";")
    if len(written) > SECTIONS_MAX:
        raise ValueError(f"at most {SECTIONS_MAX} sections")
    sections: list[RateSection] = []
    for each in written:
        amount_text, at, seconds = each.strip().partition("@")
        if not at or not (seconds.isascii() and seconds.isdigit()):
            raise ValueError(_FORM)
        try:
            amount = parse_amount(amount_text)
        except ValueError:
            raise ValueError(_FORM) from None
        until_s = int(seconds) if len(seconds) <= len(str(SECTION_SECONDS_MAX)) else 0
        if amount.is_signed() or not 1 <= until_s <= SECTION_SECONDS_MAX:
            raise ValueError(f"{_FORM}: amounts of 0 or more, seconds from 1 to {SECTION_SECONDS_MAX}")
        before = sections[-1] if sections else _NONE_COMPLETED
        if until_s <= before.until_s or amount < before.amount:
            raise ValueError("each section longer than the one before and not cheaper: amounts are of the whole call")
        sections.append(RateSection(amount, until_s))
    return tuple(sections)


def read_sections(text: str) -> tuple[RateSection, ...]:
    """Read what ``format_sections`` has written, with any number of decimals: a period may have multiplied amounts.

    Raises:
        ValueError: it has another form.
    """
    pairs = [each.partition("@") for each in text.split(";")]
    try:
        return tuple(RateSection(Decimal(amount), int(until_s)) for amount, _, until_s in pairs)
    except (InvalidOperation, ValueError):
        raise ValueError(_FORM) from None


def format_sections(sections: Sequence[RateSection]) -> str:
    """Write sections, every digit kept; ``parse_sections`` reads those that were entered."""
    return ";".join(f"{amount:f}@{until_s}" for amount, until_s in sections)


def completed(sections: Sequence[RateSection], billable_s: int) -> RateSection:
    """Return the last section that a call of ``billable_s`` seconds has completed; an empty one where it has none."""
    found = _NONE_COMPLETED
    for section in sections:
        if section.until_s > billable_s:
            break
        found = section
    return found


def following(sections: Sequence[RateSection], until_s: int) -> RateSection | None:
    """Return the first section that ends after ``until_s``, or None."""
    return next((section for section in sections if section.until_s > until_s), None)
