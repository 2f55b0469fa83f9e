"""Numbers that agents give to phones: those that operators gave to their tree, and short ones of no one else."""

from collections.abc import Sequence
from typing import Any

import pytest
from doubles.data.builders import account, phone
from doubles.data.sources import source

from vosd.catalogue.agent_numbers import AgentNumbers, check_numbers_of_agent
from vosd.catalogue.assemble import assemble
from vosd.catalogue.parameters import CallParameters
from vosd.catalogue.problems import ProblemList
from vosd.routing.special_numbers import SpecialNumbers
from vosd.stir.settings import StirTerms
from vosd.stir.terms import Numbering
from vosd.trunks.dids import Did

RINGS: Any = {"phones": ("7001",)}
DIDS = (
    Did("4930100", "leaf", **RINGS),
    Did("4930200-4930299", "foreign", **RINGS),
    Did("4930300"),
    Did("7900", "foreign", **RINGS),
)
PHONES = phone("7001", account="leaf"), phone("7002", account="foreign"), phone("4930999", account="leaf")
SPECIAL = SpecialNumbers(free=("800*", "5555"), no_cdr=("6666",))


def refused(numbers: Sequence[str], *, agent: str = "south", **ranges: tuple[str, ...]) -> list[str]:
    """Return those of some numbers that an agent may not give to phones; ``ranges`` are those of accounts."""
    return [each.value or "" for each in checked(AgentNumbers(agent, numbers, {}), **ranges).in_order()]


def shown(numbers: Sequence[str], *, agent: str = "south", **ranges: tuple[str, ...]) -> list[str]:
    """Return those of some numbers that an agent may not let a phone show."""
    return [each.value or "" for each in checked(AgentNumbers(agent, (), {"7001": numbers}), **ranges).in_order()]


def checked(wanted: AgentNumbers, **ranges: tuple[str, ...]) -> ProblemList:
    tree = {"top": None, "south": "top", "leaf": "south", "north": "top", "foreign": None}
    accounts = [
        account(name, agent=above, rate_group=None, phone_numbers=ranges.get(name)) for name, above in tree.items()
    ]
    numbering = Numbering(country="998", national_prefix="8")
    parameters = CallParameters(special_numbers=SPECIAL, stir=StirTerms(numbering=numbering))
    written = source("database", *accounts, *DIDS, *PHONES, parameters=parameters)
    found = ProblemList()
    catalogue = assemble(written, found)
    assert not found.has_errors, [*map(str, found.in_order())]
    problems = ProblemList()
    check_numbers_of_agent(catalogue, wanted, problems)
    return problems


def test_a_short_number_is_given_where_no_one_else_has_it() -> None:
    free = ["2000", "+2000", "20000", "200000", "7500"]
    taken = ["7900", "4930200", "4930300", "3500"]
    public = ["112", "911", "118", "20", "8001", "5555", "6666"]
    strange = ["0200", "*200", "20#0", "812345", "442071234567", "+12024561111", "2000000"]
    assert refused([*free, *taken, *public, *strange], foreign=("3000-3999",)) == sorted([*taken, *public, *strange])
    assert refused(["7500", "7501"], south=("7500",)) == ["7501"]


@pytest.mark.parametrize(
    ("agent", "ranges", "given"),
    [
        ("south", {}, ["4930100", "5000"]),
        ("south", {"south": ()}, ["4930100"]),
        ("south", {"south": ("4930000-4930499", "12")}, ["4930100", "4930300", "12"]),
        ("south", {"top": ("5000-5999",)}, ["4930100", "5000"]),
        ("south", {"top": ("5000",), "south": ("12",)}, ["4930100", "12"]),
        ("south", {"top": (), "leaf": ("442071234567",)}, ["4930100", "442071234567"]),
        ("south", {"north": ("5000-5999",)}, ["4930100"]),
        ("north", {"south": ("4930100",)}, ["5000"]),
        ("north", {"north": ("4930100", "112")}, []),
        ("foreign", {}, ["4930200", "7900", "5000"]),
    ],
)
def test_longer_numbers_are_those_of_the_inventory_and_of_ranges_of_the_tree(
    agent: str, ranges: dict[str, tuple[str, ...]], given: list[str]
) -> None:
    asked = ["4930100", "4930200", "4930300", "7900", "5000", "442071234567", "12", "112"]
    assert refused(asked, agent=agent, **ranges) == sorted(set(asked).difference(given))
    assert shown(asked, agent=agent, **ranges) == [each for each in asked if each not in given]


def test_a_phone_shows_numbers_of_phones_of_its_tree_and_of_no_others() -> None:
    assert shown(["+7001", "4930999", "7002", "+12024561111"]) == ["7002", "+12024561111"]
    assert shown(["4930999"], agent="north") == ["4930999"]


def test_the_mistake_stands_at_its_key_and_names_the_ranges() -> None:
    wanted = AgentNumbers("south", ["99"], {"7001": ["98"]})
    found = {each.key: each.expected for each in checked(wanted).in_order()}
    assert found.keys() == {"phones[99].number", "phones[7001].caller_numbers"}
    assert "or one of 4 to 6 digits" in found["phones[99].number"]
    named = {each.expected for each in checked(wanted, south=("100-199", "7")).in_order()}
    assert named == {"a number that an operator has given to your accounts, or one of 100-199, 7"}
    assert {each.expected for each in checked(wanted, south=()).in_order()} == {
        "a number that an operator has given to your accounts"
    }


def test_an_order_without_numbers_is_not_looked_at() -> None:
    assert refused([]) == []
    assert not checked(AgentNumbers("nowhere", (), {"7001": []})).has_errors
