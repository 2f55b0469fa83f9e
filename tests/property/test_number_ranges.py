"""A number is in a set of ranges where it is one of those that the ranges name."""

from hypothesis import given, strategies as st

from vosd.catalogue.agent_numbers import NumberRanges

NUMBERS = st.text("019", min_size=1, max_size=3)


@st.composite
def ranges(draw: st.DrawFn) -> str:
    first = draw(NUMBERS)
    last = draw(st.text("019", min_size=len(first), max_size=len(first)))
    return f"{first}-{last}" if first < last else first


@given(st.lists(ranges(), max_size=8), NUMBERS)
def test_a_number_is_found_by_halves_where_a_comparison_finds_it(written: list[str], number: str) -> None:
    named = (each.partition("-") for each in written)
    is_in = any(len(first) == len(number) and first <= number <= (last or first) for first, _, last in named)
    assert (number in NumberRanges(written)) is is_in
