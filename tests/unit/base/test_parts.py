"""Long lists in parts give what one call gives."""

from hypothesis import given
from hypothesis import strategies as st

from vosd.base import parts

LISTS = st.lists(st.integers(0, 2), max_size=14)


def in_common(one: list[int], other: list[int]) -> int:
    return next((index for index, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))


@given(LISTS, LISTS, st.integers(1, 4))
def test_what_two_lists_have_in_common_is_found_in_parts(one, other, at_once):
    parts.AT_ONCE, usual = at_once, parts.AT_ONCE
    try:
        most = min(len(one), len(other))
        assert parts.equal_at_begin(one, other, most) == min(most, in_common(one, other))
        assert parts.equal_at_end(one, other, most) == min(most, in_common(one[::-1], other[::-1]))
        assert parts.equal_at_begin(one, one, len(one)) == len(one)
        parts.freed(one)
        assert one == []
    finally:
        parts.AT_ONCE = usual
