"""Call ids and their beginnings."""

import pytest

from vosd.base.ids import beginning_of, bounds, shortened, uuid7

WHOLE = "0198c3f2-7b1e-7a3c-8000-0123456789ab"


@pytest.mark.parametrize(
    ("typed", "beginning"),
    [
        (WHOLE, WHOLE),
        (WHOLE.upper(), WHOLE),
        ("0198c3f27b1e7a3c80000123456789ab", WHOLE),
        ("0198c3f2", "0198c3f2"),
        ("0198c3f2-", "0198c3f2"),
        ("0198c3f27b1e", "0198c3f2-7b1e"),
        ("0198c3f2-7b1e-7", "0198c3f2-7b1e-7"),
        ("0198c3f", None),
        ("", None),
        ("--------", None),
        ("yesterday", None),
        ("٠١٢٣٤٥٦٧", None),
        (f"{WHOLE}0", None),
    ],
)
def test_the_beginning_of_an_id_is_read_as_people_type_it(typed, beginning):
    assert beginning_of(typed) == beginning


def test_the_bounds_of_a_beginning_enclose_every_id_that_begins_so():
    assert bounds("0198c3f2-7b") == ("0198c3f2-7b00-0000-0000-000000000000", "0198c3f2-7bff-ffff-ffff-ffffffffffff")
    assert bounds(WHOLE) == (WHOLE, WHOLE)


def test_an_id_is_shortened_to_its_time_where_no_other_call_has_it():
    assert shortened(WHOLE, [uuid7(1_755_000_000_000, bytes(10)), WHOLE]) == "0198c3f2-7b1e"


def test_an_id_is_shortened_less_where_others_begin_alike():
    assert shortened(WHOLE, ["0198c3f2-7b1e-7a3d-8000-0123456789ab"]) == "0198c3f2-7b1e-7a3c"
    assert shortened(WHOLE, ["0198c3f2-7b1e-7a3c-8000-0123456789aa"]) == WHOLE
