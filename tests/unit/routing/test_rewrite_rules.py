"""Rewrite rules: prefixes, wildcards, lengths, random digits and regular expressions."""

import pytest

from vosd.routing.expressions import RuleError
from vosd.routing.rewrite import RewriteRules, WrittenRule, check_rule


def rewritten(number, *rules, draws=()):
    left = iter(draws)

    def draw(below):
        drawn = next(left)
        assert drawn < below
        return drawn

    return RewriteRules(WrittenRule(*rule) for rule in rules).rewritten(number, draw)


@pytest.mark.parametrize(
    ("rules", "number", "result"),
    [
        ([["00", ""], ["0", "49"]], "004420", "4420"),
        ([["00", ""], ["0", "49"]], "030", "4930"),
        ([["00", ""], ["0", "49"]], "4420", "4420"),
        ([["44", "0"]], "+4420", "020"),
        ([["33", "0"]], "+4420", "+4420"),  # no rule fits: as received
        ([["0", ""], ["", "00"]], "0044", "044"),  # one pass
        ([["*", "7001"]], "4420", "70014420"),
        ([["", "7001"]], "*21#", "7001*21#"),
        ([["*", "7001"]], "bob", "bob"),
        ([["bob", "7001"]], "bob", "7001"),
        ([["00*", "+"]], "004420", "+4420"),
        ([["*31", ""]], "*3144", "44"),
        ([["911", "112"]], "911", "112"),
        ([["0", "49"]], "", ""),
    ],
)
def test_the_longest_prefix_is_replaced(rules, number, result):
    assert rewritten(number, *rules) == result


@pytest.mark.parametrize(
    ("rules", "number", "result"),
    [
        ([["0?1", "x"]], "0312", "x2"),
        ([["0?1", "x"]], "03", "03"),
        ([["0?1", "x"]], "0a1", "0a1"),
        ([["??", ""]], "4420", "20"),  # two digits deleted
        ([["0?", "a"], ["01", "b"]], "012", "b2"),
        ([["0?", "a"], ["01", "b"]], "022", "a2"),
        ([["???", "c"], ["0?", "a"]], "022", "c"),
        ([["0{3}", "a"], ["0{4-}", "b"], ["0{-2}", "c"]], "012", "a12"),
        ([["0{3}", "a"], ["0{4-}", "b"], ["0{-2}", "c"]], "0123", "b123"),
        ([["0{3}", "a"], ["0{4-}", "b"], ["0{-2}", "c"]], "01234", "b1234"),
        ([["0{3}", "a"], ["0{4-}", "b"], ["0{-2}", "c"]], "01", "c1"),
        ([["0", "a"], ["0{3}", "b"]], "012", "b12"),  # the one with a length comes first
        ([["0", "a"], ["0{3}", "b"]], "0123", "a123"),
        ([["00{4-6}", "a"], ["0", "b"]], "001", "b01"),  # the longer prefix has another length
        ([["{3}", "a"]], "012", "a012"),
        ([["*{3}", "a"]], "0123", "0123"),
        ([["0134", "$$$"]], "0134131", "013131"),
    ],
)
def test_digits_lengths_and_kept_positions(rules, number, result):
    assert rewritten(number, *rules) == result


def test_a_kept_position_is_that_of_the_whole_number():
    assert rewritten("0123", ("0??", "7$$")) == "7123"


def test_question_marks_on_the_right_are_random_digits():
    assert rewritten("030123", ("030", "49171??"), draws=[4, 2]) == "4917142123"


@pytest.mark.parametrize(
    ("rules", "number", "result"),
    [
        ([["~^0([1-9].*)", "49\\1"]], "030123", "4930123"),
        ([["~^00", ""]], "004420", "4420"),
        ([["~.*", "49301"]], "4420", "49301"),
        ([["~20", "-"]], "442020", "44-20"),  # the first place that fits
        ([["~(4)(5)?", "\\1\\2x\\0"]], "44", "4x44"),
        ([["~^0", "a"], ["~^00", "b"], ["000", "c"]], "0001", "a001"),  # expressions first, in their order
        ([["~^9", "a"], ["000", "c"]], "0001", "c1"),
        ([["~^44", "0"]], "+4420", "020"),
        ([["~^x$", ""]], "x", ""),
        ([["~^44$", ""]], "44\udcff", "44\udcff"),
    ],
)
def test_regular_expressions(rules, number, result):
    assert rewritten(number, *rules) == result


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("+44", "", "a prefix without +"),
        ("4 4", "", "a prefix without +"),
        ("0{}", "", "a length in the braces"),
        ("0{-}", "", "a length in the braces"),
        ("0{5-3}", "", "the shorter length first"),
        ("0", "4 9", "takes the place of the prefix"),
        ("0", "49*", "no \\* at the end"),
        ("0", "$$", "each \\$ at a position"),
        ("~(", "", "RE2"),
        ("~(a)\\1", "", "RE2"),
        ("~a", "\\1", "has 0 groups"),
        ("~a", "4 9", "on the right side digits"),
        ("~" + "a" * 257, "", "at most 256"),
        ("~(?:a{1000}){1000}", "", "RE2"),
    ],
)
def test_a_malformed_rule_says_what_was_expected(left, right, expected):
    with pytest.raises(RuleError, match=expected):
        check_rule(left, right)


def test_an_expression_of_nested_repetitions_takes_no_longer_than_its_number():
    rules = RewriteRules([WrittenRule("~^(([0-9]+)+)+$", "1")])
    assert rules.rewritten("1" * 127 + "x", lambda below: 0) == "1" * 127 + "x"
