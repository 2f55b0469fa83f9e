"""Patterns and lists of numbers."""

import pytest
from doubles.data.builders import number_list

from vosd.routing.number_lists import UnusableLine, pack_lines, packed, unpacked
from vosd.routing.patterns import PatternSet, compared_caller, is_pattern


@pytest.mark.parametrize("made", [PatternSet, lambda patterns: number_list(*patterns)], ids=["set", "list"])
@pytest.mark.parametrize(
    ("patterns", "fitting", "unfitting"),
    [
        (["911"], ["911"], ["9110", "1911", "91", ""]),
        (["1800*"], ["1800", "18001234567"], ["180", "1801234567"]),
        (["*"], ["1", "anonymous", "*21#"], []),
        (["0044", "44"], ["0044", "44"], ["044", "4", "444", "00044"]),
        (["anonymous"], ["anonymous"], ["anonymou", "Anonymous"]),
        (["*31*"], ["*31", "*3144"], ["*3", "31"]),
        (["123456789012345", "1234567890123456", "12345678901234567"],
         ["123456789012345", "1234567890123456", "12345678901234567"],
         ["123456789012346", "1234567890123457", "12345678901234568"]),
        ([], [], ["1", ""]),
    ],
)  # fmt: skip
def test_exact_numbers_and_prefixes(made, patterns, fitting, unfitting):
    numbers = made(patterns)
    assert [number for number in (*fitting, *unfitting) if number in numbers] == fitting


def test_the_first_pattern_of_the_list_is_named():
    patterns = PatternSet(["44*", "911", "4420*", "447700900000"])
    assert patterns.first_hit("4420") == "44*"
    assert patterns.first_hit("447700900000") == "44*"
    assert PatternSet(["4420*", "44*"]).first_hit("4420") == "4420*"
    assert patterns.first_hit("911") == "911"
    assert patterns.first_hit("33") is None


def test_arabic_digits_are_no_number_of_the_list():
    assert "\u0664\u0664" not in number_list("44")


@pytest.mark.parametrize(("caller", "compared"), [
    ("", "anonymous"), ("Anonymous", "anonymous"), ("+44", "44"), ("44", "44"), ("bob", "bob"),
])  # fmt: skip
def test_a_caller_without_number_counts_as_anonymous(caller, compared):
    assert compared_caller(caller) == compared


@pytest.mark.parametrize("text", ["", "4 4", "4,4", "+44", "x" * 65, "44\n", "list:a"])
def test_what_is_no_pattern(text):
    assert not is_pattern(text)


def blocks(content, size):
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    return iter([*parts, b""]).__next__


FILE = b"""# numbers of March
4477*

447700900001
+447700900002\r
  447700900003\t
anonymous
44 77
12345678901234567
447700900001
4,4"""


@pytest.mark.parametrize("size", [1, 7, 40, 1_000])
def test_a_file_is_read_in_blocks_of_any_size(size):
    found = pack_lines(blocks(FILE, size))
    assert list(unpacked(found.numbers)) == ["447700900001", "447700900001", "447700900002", "447700900003"]
    assert found.others == ["4477*", "anonymous", "12345678901234567"]
    assert found.unusable == [UnusableLine(8, "44 77"), UnusableLine(11, "4,4")]


def test_empty_lines_are_no_numbers():
    found = pack_lines(blocks(b"\n\n1\n\n0\n", 100))
    assert list(unpacked(found.numbers)) == ["0", "1"]


def test_a_number_takes_eight_bytes():
    found = packed(f"4917{index:09d}" for index in range(1_000))
    assert found.numbers.itemsize * len(found.numbers) == 8_000
    assert found.others == []
