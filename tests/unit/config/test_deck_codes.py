"""The cells of a sheet that have codes: lists, ranges, and what is refused because it may mean two things."""

import time

import pytest

from vosd.config.decks.conversion import prefixes_of
from vosd.config.reader.fields import ExpectedError


@pytest.mark.parametrize(
    ("text", "ahead", "found"),
    [
        ("44", "", ["44"]),
        ("*", "", ["*"]),
        ("7000-7003;7011", "", ["7000", "7001", "7002", "7003", "7011"]),
        ("098-101", "44", ["44098", "44099", "44100", "44101"]),
        ("1, 2 ;\n3", "7", ["71", "72", "73"]),
        ("57\n58", "", ["57", "58"]),
        ("20 - 22", "", ["20", "21", "22"]),
        ("", "44", ["44"]),
    ],
)
def test_codes_and_ranges(text, ahead, found):
    assert prefixes_of(text, ahead) == found


@pytest.mark.parametrize(("text", "ahead"), [("1 264", ""), ("20 7;8", "44"), ("44\u00a020", "")])
def test_a_blank_may_be_inside_a_code_or_between_two(text, ahead):
    with pytest.raises(ExpectedError, match="without a blank inside"):
        prefixes_of(text, ahead)


def test_a_long_run_of_blanks_is_gone_through_once():
    """Each of 200,000 blanks was taken for the beginning of a separator once more, which took minutes."""
    before = time.process_time()
    with pytest.raises(ExpectedError, match="without a blank inside"):
        prefixes_of(f"1{' ' * 200_000}2", "")
    assert time.process_time() - before < 5


def test_ranges_are_bounded():
    with pytest.raises(ExpectedError, match="at most"):
        prefixes_of("10000-99999")


@pytest.mark.parametrize("range_", [f"{'1' * 5_000}-{'2' * 5_000}", f"1-{'2' * 5_000}"])
def test_ends_of_ranges_with_more_digits_than_a_code_are_refused(range_):
    with pytest.raises(ExpectedError, match="codes of up to"):
        prefixes_of(range_, "")
