"""Long lists and mappings in parts give what one call gives."""

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
        assert parts.joined(one, other) == [*one, *other]
        assert [*parts.copied(dict.fromkeys(one)).items()] == [*dict.fromkeys(one).items()]
        parts.freed(one)
        assert one == []
    finally:
        parts.AT_ONCE = usual


class Counted(dict[int, int]):
    """Notes how much each call put into it."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def update(self, entries: list[tuple[int, int]]) -> None:  # type: ignore[override]
        self.sizes.append(len(entries))
        super().update(entries)


def test_no_call_puts_more_than_a_part():
    into = Counted()
    parts.put(into, ((number, number) for number in range(2 * parts.AT_ONCE + 7)))
    assert into.sizes == [parts.AT_ONCE, parts.AT_ONCE, 7]
    assert len(into) == 2 * parts.AT_ONCE + 7
