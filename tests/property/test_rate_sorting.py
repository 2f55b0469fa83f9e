"""The order of rates, and the shorter prefix of each, compared with a search among all of them."""

from hypothesis import given, strategies as st

from vosd.billing.rate_layout import DIGITS, DIGITS_MAX, NO_ROW, keys_of
from vosd.billing.rate_sorting import equal_to_next, parents_of, sorted_rows

SHORT = st.text("019", max_size=5)
LONG = st.text("01", min_size=15, max_size=18)


@given(st.lists(SHORT, max_size=60).map(sorted), st.booleans())
def test_the_parent_of_a_row_is_the_last_one_of_the_longest_shorter_prefix(prefixes, is_long):
    if is_long:
        prefixes = sorted(["1" * 14 + prefix for prefix in prefixes] + prefixes)
        keys = [(first << 64) + second for first, second in map(keys_of, prefixes)]
    else:
        keys = [keys_of(prefix)[0] for prefix in prefixes]
    found = parents_of(keys, bytes(map(len, prefixes)), DIGITS_MAX if is_long else DIGITS)
    for row, prefix in enumerate(prefixes):
        shorter = [
            other for other in range(len(prefixes)) if prefix.startswith(prefixes[other]) and prefixes[other] != prefix
        ]
        assert found[row] == max(shorter, key=lambda other: (len(prefixes[other]), other), default=NO_ROW)


@given(st.lists(st.tuples(st.one_of(SHORT, LONG), st.integers(0, 3)), max_size=40), st.booleans())
def test_rows_are_in_the_order_of_prefix_and_time_and_then_as_they_are_given(rows, has_windows):
    keys = [keys_of(prefix) for prefix, _ in rows]
    more = {row: second for row, (_, second) in enumerate(keys) if second}
    begins = [begin for _, begin in rows] if has_windows else None
    order = sorted_rows([first for first, _ in keys], more, begins)
    assert [*order] == sorted(range(len(rows)), key=lambda row: (*keys[row], begins[row] if begins else 0, row))


def test_equal_keys_are_those_beside_each_other():
    assert [*equal_to_next([1, 1, 2, 3, 3, 3])] == [0, 3, 4]
