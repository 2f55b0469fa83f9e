"""The worked examples of patterns, lists, pools, rewriting and number sections, each through what calls pass."""

from collections import Counter
from itertools import count

import pytest

from golden.worked import ROUTING, of
from vosd.routing.number_lists import NumberList, packed
from vosd.routing.number_rules import AllowDeny
from vosd.routing.patterns import PatternSet
from vosd.routing.pools import NumberPool, PoolMode, PoolTurns
from vosd.routing.rewrite import RewriteRules, WrittenRule
from vosd.routing.sections import NumberSection, objection_in


def list_of(*patterns):
    lines = packed(patterns)
    return NumberList(lines.numbers, lines.others, "1")


def no_draw(_below):
    pytest.fail("nothing is random here")


@of("pattern_match", ROUTING)
@pytest.mark.parametrize("made", [lambda pattern: PatternSet([pattern]), list_of], ids=["patterns", "list"])
def test_a_pattern_fits_a_number(made, given, expect):
    assert (given["number"] in made(given["pattern"])) == expect["match"]


@of("pattern_list", but={"NUM-P32"})  # two lists, in test_vectors_special_numbers
def test_the_first_pattern_from_the_left_counts(given, expect):
    assert PatternSet(given["patterns"].split(",")).first_hit(given["number"]) == expect["first_hit"]


@of("list_check")
def test_a_denied_number_is_refused_and_an_allow_list_refuses_the_others(given, expect):
    named = {"white": list_of(*given["white"]), "black": list_of(*given["black"])}
    in_place = AllowDeny(given["white"], given["black"], {})
    by_name = AllowDeny(["list:white"] if given["white"] else [], ["list:black"], named)
    for rules in (in_place, by_name):
        assert (rules.objection(given["number"]) is None) == expect["allowed"]


@of("number_pool")
def test_a_pool_gives_its_numbers(given, expect):
    drawn = count(7)
    pool, turns = NumberPool("pool", tuple(given["pool"]), PoolMode(given["mode"])), PoolTurns()
    taken = [turns.take(pool, lambda below: next(drawn) * 7_919 % 104_729 % below) for _ in range(given["calls"])]
    if "sequence" in expect:
        assert taken == expect["sequence"]
        return
    shares = Counter(taken)
    lowest, highest = expect["each_share_between"]
    assert shares.keys() == set(given["pool"])
    assert all(lowest <= share / given["calls"] <= highest for share in shares.values())


@of("rewrite")
def test_the_longest_rule_is_applied_once(given, expect):
    rules = RewriteRules(WrittenRule(*rule) for rule in given["rules"])
    assert rules.rewritten(given["number"], no_draw) == expect["result"]


@of("strip_prefix", ROUTING)
def test_leading_digits_are_deleted(given, expect):
    rules = RewriteRules([WrittenRule("?" * given["strip"], "")])
    assert rules.rewritten(given["number"], no_draw) == expect["result"]


@of("number_section")
def test_every_level_of_a_number_section_must_allow_the_number(given, expect):
    levels = [NumberSection(level["allow"], level["block"]) for level in given["chain"]]
    assert (objection_in(levels, given["called"]) is None) == expect["allowed"]
