"""Numbers that an agent gives to phones: operators have given them to its tree, or they are short and no one else's.

A call to the number of a phone goes to that phone, whatever customer makes it, and calls that show it are attested as
those of its owner (ADR 197).
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from vosd.base.number import for_matching
from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.stir.settings import StirTerms
from vosd.stir.terms import INTERNATIONAL_MIN

if TYPE_CHECKING:
    from vosd.catalogue.catalogue import Catalogue  # these import much

_IN_THE_DATABASE: Final = SourceLine("", 0)
_SHORT_MIN: Final = 4
"""Digits of a short number at least: of two and three digits are public services in most countries."""
_SHORT_MAX: Final = 6
"""Digits of a short number at most: longer ones are numbers of the network."""
_RANGES_NAMED: Final = 10
"""Ranges that a message names."""


class NumberRanges:
    """Numbers in digits; ranges may overlap, and are searched by halves."""

    def __init__(self, written: Iterable[str]) -> None:
        """``written`` are numbers in digits, or the first and the last one of a range with a hyphen."""
        self._first: list[tuple[int, str]] = []
        self._last: list[str] = []
        for length, first, last in sorted(map(_bounds, written)):
            if self._first and self._first[-1][0] == length and first <= self._last[-1]:
                self._last[-1] = max(self._last[-1], last)
            else:
                self._first.append((length, first))
                self._last.append(last)

    def __contains__(self, number: str) -> bool:
        at = bisect_right(self._first, (len(number), number)) - 1
        return at >= 0 and self._first[at][0] == len(number) and number <= self._last[at]


def _bounds(written: str) -> tuple[int, str, str]:
    first, _, last = written.partition("-")
    return len(first), first, last or first


class AgentNumbers(NamedTuple):
    """Numbers that an agent gives to phones by an order."""

    agent: str
    phones: Collection[str]
    """Phones that the order makes, by their number."""
    callers: Mapping[str, Collection[str]]
    """Further numbers that phones may show by the order, by the number of the phone."""


def check_numbers_of_agent(catalogue: "Catalogue", wanted: AgentNumbers, problems: ProblemList) -> None:
    """Report numbers that an agent may not give to phones, in a catalogue in which these have them."""
    if not (wanted.phones or any(wanted.callers.values())):
        return
    given = _GivenNumbers(catalogue, wanted.agent)
    expected = _described(given.own)
    for phone in sorted(wanted.phones):
        if not given.has(for_matching(phone)):
            problems.error(_IN_THE_DATABASE, f"phones[{phone}].number", expected, phone)
    for phone, callers in sorted(wanted.callers.items()):
        for number in callers:
            if not given.may_be_shown(for_matching(number)):
                problems.error(_IN_THE_DATABASE, f"phones[{phone}].caller_numbers", expected, number)


class _GivenNumbers:
    """The numbers that an agent may give."""

    def __init__(self, catalogue: "Catalogue", agent: str) -> None:
        self._catalogue = catalogue
        accounts, above = catalogue.accounts, catalogue.agents
        self._tree = {agent, *(name for name, agents in above.items() if any(each.id == agent for each in agents))}
        upwards = (accounts[agent], *above.get(agent, ()))
        self.own = next((each.phone_numbers for each in upwards if each.phone_numbers is not None), None)
        """Numbers and ranges that it may give by its key, or by that of an agent above it; None = short ones."""
        of_tree = chain.from_iterable(accounts[name].phone_numbers or () for name in self._tree)
        self._ranges = NumberRanges(chain(self.own or (), of_tree))
        others = (each.phone_numbers or () for name, each in accounts.items() if name not in self._tree)
        self._of_others = NumberRanges(chain.from_iterable(others) if self.own is None else ())
        self._phones = {for_matching(number): phone.gateway.account for number, phone in catalogue.phones.items()}

    def has(self, number: str) -> bool:
        """Return whether a phone may have a number, which is without plus sign."""
        special = self._catalogue.parameters.special_numbers
        if special.is_emergency(number):
            return False
        did = None if self._catalogue.dids is None else self._catalogue.dids.find(number)
        if did is not None and did.account is not None:
            return did.account in self._tree
        return number in self._ranges or (did is None and self.own is None and self._is_short(number))

    def may_be_shown(self, number: str) -> bool:
        """Return whether a phone may show a number, which is without plus sign, that another one may have."""
        account = self._phones.get(number)
        return self.has(number) if account is None else account in self._tree

    def _is_short(self, number: str) -> bool:
        """Return whether a number is one within a house that neither an operator nor a public service uses."""
        parameters = self._catalogue.parameters
        is_inner = _SHORT_MIN <= len(number) <= _SHORT_MAX and number.isdecimal() and number[0] != "0"
        if not is_inner or number in self._of_others:
            return False
        special, numbering = parameters.special_numbers, (parameters.stir or StirTerms()).numbering
        is_public = special.free_by(number, number) is not None or special.leaves_no_cdr(number)
        return not is_public and len(numbering.canonical(number)) < INTERNATIONAL_MIN


def _described(own: Sequence[str] | None) -> str:
    """Return in words which numbers an agent may give."""
    if own is None:
        return (
            "a number that an operator has given to your accounts, or one of 4 to 6 digits, the first of them not 0,"
            " that no other customer and no public service has"
        )
    if not own:
        return "a number that an operator has given to your accounts"
    ranges = ", ".join(own[:_RANGES_NAMED])
    return f"a number that an operator has given to your accounts, or one of {ranges}"
