"""Section rates as people write them."""

from decimal import Decimal

import pytest

from vosd.billing.sections import SECTION_SECONDS_MAX, SECTIONS_MAX, RateSection, parse_sections


def test_sections_are_longer_and_not_cheaper_than_those_before():
    longest = f"0.10@{SECTION_SECONDS_MAX}"
    assert parse_sections(f"0@1; 0.10@60;{longest}") == (
        RateSection(Decimal(0), 1),
        RateSection(Decimal("0.10"), 60),
        RateSection(Decimal("0.10"), SECTION_SECONDS_MAX),
    )
    assert len(parse_sections(";".join(f"1@{second}" for second in range(1, SECTIONS_MAX + 1)))) == SECTIONS_MAX


@pytest.mark.parametrize(
    "text",
    [
        "", "0.10", "0.10@", "@60", "0.10@x", "0.10@-60", "0.10@\uff16\uff10", "x@60", "-0.10@60", "0.10@0",
        f"0.10@{SECTION_SECONDS_MAX + 1}", "0.10@9" + "9" * 5_000, "0.10@60;0.20@60", "0.10@60;0.09@120",
        "0.10@60;", ";".join(f"1@{second}" for second in range(1, SECTIONS_MAX + 2)),
    ],
)  # fmt: skip
def test_other_texts_are_no_sections(text: str):
    with pytest.raises(ValueError, match=r"section|amounts"):
        parse_sections(text)
