"""Lists of numbers that the rules of a trunk name: each is looked at once for a call, however often it is named."""

from collections.abc import Iterator
from typing import cast

import pytest

from vosd.routing.number_lists import NumberList
from vosd.routing.number_rules import AllowDeny


class CountedList:
    """A list without numbers that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __contains__(self, _number: object) -> bool:
        self.asked += 1
        return False

    def __iter__(self) -> Iterator[str]:
        return iter(())


@pytest.mark.parametrize("is_denied", [True, False])
def test_a_list_that_is_named_many_times_is_asked_once_for_a_number(is_denied: bool) -> None:
    counted, named = CountedList(), ["list:vip"] * 1_000
    lists = {"vip": cast("NumberList", counted)}
    rules = AllowDeny((), named, lists) if is_denied else AllowDeny(named, (), lists)
    assert rules.objection("442079460000") == (None if is_denied else "not among the allowed ones")
    assert counted.asked == 1
