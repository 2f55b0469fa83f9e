"""Number sections of accounts."""

import pytest

from vosd.routing.sections import NumberSection, objection_in


@pytest.mark.parametrize(
    ("allowed", "denied", "number", "objection"),
    [
        ([], [], "44", None),
        (["44"], [], "4420", None),
        (["44"], [], "33", "no allowed prefix fits"),
        (["44"], ["44"], "4420", "prefix 44 is denied"),
        (["44"], ["44"], "33", "no allowed prefix fits"),
        (["44", "447700"], ["4477"], "4477001", None),
        (["44", "447700"], ["4477"], "447701", "prefix 4477 is denied"),
        (["44"], ["*"], "4420", None),
        (["44"], ["*"], "33", "prefix * is denied"),
        (["*"], ["90"], "33", None),
    ],
)
def test_the_longest_entry_decides(allowed, denied, number, objection):
    assert NumberSection(allowed, denied).objection(number) == objection


def test_the_first_level_that_objects_is_named():
    own, above = NumberSection(["44"], [], "acme"), NumberSection([], ["4477"], "reseller")
    assert objection_in([own, above], "4420") is None
    assert objection_in([own, above], "4477") == "number section of reseller: prefix 4477 is denied"
    assert objection_in([own, above], "33") == "number section of acme: no allowed prefix fits"
    assert objection_in([], "33") is None


def test_the_number_counts_with_its_routing_prefix_and_what_is_behind_that_is_not_denied_either():
    section = NumberSection([], ["44"])
    assert section.objection("4421000", "1000") == "prefix 44 is denied"
    assert section.objection("9994421", "4421") == "prefix 44 is denied"
    assert section.objection("9991000", "1000") is None
    allowed = NumberSection(["999", "4420"], ["44"])
    assert allowed.objection("9994420", "4420") is None, "the longest prefix decides"
    assert allowed.objection("9994421", "4421") == "prefix 44 is denied"
    assert allowed.objection("4930", "30") == "no allowed prefix fits"
