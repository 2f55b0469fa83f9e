"""Numbers as they are compared, and the longest prefix that fits one."""

import pytest

from vosd.base.number import for_matching, is_unambiguous, without_separators
from vosd.base.prefixes import ANY, PrefixIndex


def test_one_leading_plus_is_dropped_for_matching():
    assert [for_matching(number) for number in ("+44", "44", "++44", "4+4", "+", "")] == [
        "44",
        "44",
        "+44",
        "4+4",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1-900-555.1234", "19005551234"), ("+1(900)5551234", "+19005551234"), ("*21#-1-", "*21#1"), ("44", "44"),
        ("7001+1-900", "7001+1900"), ("(+1)900", "+1900"),
        ("anne.smith", "anne.smith"), ("1-800-flowers", "1-800-flowers"), ("1-9 00", "1900"), ("1-٩", "1-٩"),
        ("anne smith", "anne smith"),
        ("-", "-"), ("", ""), ("1-900\n", "1-900\n"), ("1‐900", "1‐900"), ("1-9\udcff", "1-9\udcff"),  # noqa: RUF001
    ],
)  # fmt: skip
def test_visual_separators_are_removed_from_numbers_and_kept_in_names(text, number):
    assert without_separators(text) == number


@pytest.mark.parametrize(
    "number", ["1900", "1900#", "1900**", "*21*4420#", "#31#44", "*", "anne", "_anne.1", "\u6797", "x1"]
)
def test_numbers_codes_and_names_are_read_alike_by_all(number):
    assert is_unambiguous(number)


@pytest.mark.parametrize(
    "number",
    ["1,900", "1+900", "+1900", "1*900", "1#900", "1900a", "1 900", ",1900", "1\n900", "1900\n", "1٩", "٩", "1²", "²1",
     "-", "", "1;900", "1\x00900", "1‐900", "9w1900", "*21,9", "'1900'", "*21*x"],  # noqa: RUF001
)  # fmt: skip
def test_text_that_begins_like_a_number_and_is_none_is_ambiguous(number):
    assert not is_unambiguous(number)


def test_longest_prefix_wins_and_the_catch_all_is_last():
    index = PrefixIndex([(ANY, "any"), ("44", "uk"), ("4420", "london")])
    assert [index.longest(number) for number in ("442071", "4421", "33", "")] == ["london", "uk", "any", "any"]


def test_number_shorter_than_a_prefix_never_fits_it():
    assert PrefixIndex([("4420", "london")]).longest("44") is None


def test_every_prefix_of_a_number_is_found_longest_first():
    index = PrefixIndex([("4", 1), (ANY, 0), ("4420", 4), ("33", 9)])
    assert list(index.every("4420")) == [("4420", 4), ("4", 1), (ANY, 0)]
    assert list(index.every("44")) == [("4", 1), (ANY, 0)]


def test_index_counts_and_lists_its_entries_as_written():
    index = PrefixIndex([("44", 1), (ANY, 2)])
    assert len(index) == 2
    assert list(index) == [("44", 1), (ANY, 2)]


def test_index_without_entries_finds_nothing():
    assert PrefixIndex[int]().longest("44") is None
