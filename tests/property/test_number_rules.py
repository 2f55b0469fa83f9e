"""Patterns, lists and rewrite rules against the plain definition of what they compute."""

import re

from doubles.data.builders import number_list
from hypothesis import given, strategies as st

from vosd.routing.expressions import RuleError
from vosd.routing.number_lists import NumberList, pack_lines, unpacked
from vosd.routing.patterns import PatternSet
from vosd.routing.rewrite import RewriteRules, WrittenRule
from vosd.routing.sections import NumberSection, objection_in

numbers = st.text("012", max_size=6) | st.text("012", min_size=14, max_size=18) | st.just("anonymous")
patterns = st.builds(
    lambda start, end: start + end, st.text("012", max_size=4) | numbers, st.sampled_from(["", "*"])
).filter(bool)


def fits(pattern, number):
    return number.startswith(pattern[:-1]) if pattern.endswith("*") else number == pattern


@given(st.lists(patterns, max_size=8), st.lists(numbers, min_size=1, max_size=8))
def test_patterns_fit_what_their_definition_says(patterns, numbers):
    searched, packed = PatternSet(patterns), number_list(*patterns)
    for number in numbers:
        hits = [pattern for pattern in patterns if fits(pattern, number)]
        assert (number in searched) == (number in packed) == bool(hits)
        assert searched.first_hit(number) == (hits[0] if hits else None)


unusual = st.sampled_from(["", "# March", " 12 ", "+120", "44*", "1234567890123456", "bob"])
lines = st.lists(unusual | st.text("0123456789", min_size=1, max_size=17), max_size=12)


@given(lines, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(1, 40))
def test_a_file_has_the_same_numbers_in_blocks_of_any_size(lines, newline, ends_with_newline, size):
    content = (newline.join(lines) + newline * ends_with_newline).encode()
    blocks = iter([*(content[start : start + size] for start in range(0, len(content), size)), b""])
    found = pack_lines(lambda: next(blocks, b""))
    written = [line.strip().removeprefix("+") for line in lines]
    wanted = [text for text in written if text and not text.startswith("#")]
    packed = [text for text in wanted if text.isdigit() and len(text) <= 15]
    assert sorted(unpacked(found.numbers)) == sorted(packed)
    assert found.others == [text for text in wanted if text not in packed]
    assert found.unusable == []
    numbers = NumberList(found.numbers, found.others, "1")
    assert all(text.rstrip("*") in numbers for text in wanted)


lefts = st.builds(
    lambda prefix, length: prefix + length,
    st.text("01?", max_size=4),
    st.sampled_from(["", "{3}", "{2-4}", "{5-}", "{-3}"]),
)
rights = st.text("97$", max_size=3)


def usable(rules):
    try:
        return RewriteRules(WrittenRule(*rule) for rule in rules)
    except RuleError:
        return None


def length_fits(written, length):
    if not written:
        return True
    lowest, dash, highest = written[1:-1].partition("-")
    return int(lowest or 0) <= length <= (int(highest or 999) if dash else int(lowest))


def naive(rules, number):
    """Compare every rule with the number, and apply the best."""
    fitting = []
    for place, (left, right) in enumerate(rules):
        prefix, brace, rest = left.partition("{")
        expected = re.escape(prefix).replace(r"\?", "[0-9]")
        if re.match(expected, number) and length_fits(brace + rest, len(number)) and (prefix or number):
            fitting.append(((-len(prefix), prefix.count("?"), not brace, place), prefix, right))
    if not fitting:
        return number
    _, prefix, right = min(fitting)
    filled = "".join(number[place] if each == "$" else each for place, each in enumerate(right))
    return filled + number[len(prefix) :]


@given(st.lists(st.tuples(lefts, rights), max_size=6), st.lists(st.text("012", max_size=6), min_size=1, max_size=6))
def test_the_best_rule_is_applied(rules, numbers):
    rewriting = usable(rules)
    if rewriting is not None:
        for number in numbers:
            assert rewriting.rewritten(number, lambda below: 0) == naive(rules, number)


prefixes = st.lists(st.text("12", min_size=1, max_size=4) | st.just("*"), max_size=4)


@given(st.lists(st.tuples(prefixes, prefixes), max_size=3), st.text("123", min_size=1, max_size=5))
def test_a_number_section_is_decided_by_its_longest_entry_at_every_level(levels, number):
    def allows(allowed, denied):
        entries = [(prefix.strip("*"), False) for prefix in denied] + [(prefix.strip("*"), True) for prefix in allowed]
        fitting = [entry for entry in entries if number.startswith(entry[0])]
        if not fitting:
            return not allowed
        longest = max(len(prefix) for prefix, _ in fitting)
        return all(is_allowed for prefix, is_allowed in fitting if len(prefix) == longest)

    sections = [NumberSection(allowed, denied) for allowed, denied in levels]
    assert (objection_in(sections, number) is None) == all(allows(*level) for level in levels)
