"""Rules that change a number: its longest fitting prefix, or a regular expression (docs/routing.md, ADR 47).

The left side of a rule is a prefix, in which ``?`` is any digit, and behind it the length of the whole number in
braces, such as ``0{11}`` or ``00?{7-15}``; alone, ``*`` is any number. The right side takes the place of the prefix:
``?`` is a random digit, ``$`` the digit that the number has at that position. ``~`` begins a regular expression.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from vosd.base.number import for_matching
from vosd.routing.expressions import RegularExpression, RuleError

Draw = Callable[[int], int]
"""Return a random whole number from 0 to below the argument."""

EXPRESSION: Final = "~"
RULES_MAX: Final = 1_000
"""Most rules of one list."""
_LEFT: Final = re.compile(r"(\*?|[0-9A-Za-z*#._?-]{1,32})(?:\{(\d{1,3})?(-?)(\d{1,3})?\})?\Z", re.ASCII)
_RIGHT: Final = re.compile(r"\+?[0-9A-Za-z*#._?$-]{0,32}\Z")
_NUMBER: Final = re.compile(r"[0-9*#]+\Z")
_LONGEST: Final = 999
_ANY: Final = "*"
_DIGIT: Final = "?"
_KEPT: Final = "$"
_DIGITS: Final = frozenset("0123456789")


class WrittenRule(NamedTuple):
    """A rule as configured."""

    left: str
    right: str


class _Rule(NamedTuple):
    prefix: str
    shortest: int
    longest: int
    replacement: str
    is_plain: bool
    """Whether the replacement stands for itself."""


class RewriteRules:
    """The rules of one list: the first regular expression that fits, else the rule with the longest prefix.

    Of prefixes of one length those with fewer ``?`` come first, then those that state a length, then the order of the
    list. One rule is applied, once.
    """

    __slots__ = ("_any", "_by_prefix", "_cuts", "_expressions", "_with_digits")

    def __init__(self, rules: Iterable[WrittenRule]) -> None:
        """Raise RuleError where a rule is malformed."""
        self._expressions: list[RegularExpression] = []
        self._by_prefix: dict[str, list[_Rule]] = {}
        self._with_digits: dict[int, list[_Rule]] = {}
        """Rules whose prefix has a ``?``, by its length."""
        self._any: list[_Rule] = []
        for left, right in rules:
            if left.startswith(EXPRESSION):
                self._expressions.append(RegularExpression(left.removeprefix(EXPRESSION), right))
            else:
                self._add(_parsed(left, right))
        for each in (*self._by_prefix.values(), *self._with_digits.values(), self._any):
            each.sort(key=_precedence)
        lengths = {*map(len, self._by_prefix), *self._with_digits}
        self._cuts = tuple(sorted(lengths, reverse=True))

    def _add(self, rule: _Rule) -> None:
        if not rule.prefix:
            self._any.append(rule)
        elif _DIGIT in rule.prefix:
            self._with_digits.setdefault(len(rule.prefix), []).append(rule)
        else:
            self._by_prefix.setdefault(rule.prefix, []).append(rule)

    def rewritten(self, number: str, draw: Draw) -> str:
        """Return a number as the rules change it; where none fits, as it is, with a leading ``+``."""
        bare = for_matching(number)
        for expression in self._expressions:
            changed = expression.rewritten(bare)
            if changed is not None:
                return changed
        rule = self._rule_for(bare)
        if rule is None:
            return number
        replacement = rule.replacement if rule.is_plain else "".join(_drawn(rule.replacement, bare, draw))
        return replacement + bare[len(rule.prefix) :]

    def _rule_for(self, number: str) -> _Rule | None:
        length = len(number)
        for cut in self._cuts:
            if cut > length:
                continue
            for rule in self._by_prefix.get(number[:cut], ()):
                if rule.shortest <= length <= rule.longest:
                    return rule
            for rule in self._with_digits.get(cut, ()):
                if rule.shortest <= length <= rule.longest and _fits(rule.prefix, number):
                    return rule
        if self._any and _NUMBER.match(number):
            for rule in self._any:
                if rule.shortest <= length <= rule.longest:
                    return rule
        return None


def check_rule(left: str, right: str) -> WrittenRule:
    """Return a rule that can be applied; raises RuleError where it is malformed."""
    RewriteRules([WrittenRule(left, right)])
    return WrittenRule(left, right)


def size_of_expressions(rules: Iterable[WrittenRule], most: int) -> int:
    """Return the number of instructions of all regular expressions; the rest is left out where it is above ``most``.

    A call may need the time of each of them, for each digit of its number. Rules that are malformed have none.
    """
    size = 0
    for left, right in rules:
        if left.startswith(EXPRESSION) and size <= most:
            with suppress(RuleError):
                size += RegularExpression(left.removeprefix(EXPRESSION), right).size
    return size


def _parsed(left: str, right: str) -> _Rule:
    match = _LEFT.match(left)
    if match is None:
        raise RuleError(
            "on the left side a prefix without +, in which ? is any digit, perhaps with the length of the number in "
            "braces as in 0{11} or 00{7-15}; or * for any number; or ~ and a regular expression"
        )
    if not _RIGHT.match(right):
        raise RuleError("on the right side what takes the place of the prefix: at most 32 of 0-9, *, #, ? and $")
    if right.endswith(_ANY):
        raise RuleError("no * at the end of the right side: the rest of the number is kept without it")
    prefix = match[1]
    if prefix.endswith(_ANY):
        prefix = prefix.removesuffix(_ANY)  # as VOS3000 writes the rest of the number
    shortest, longest = _lengths(match)
    if right.rfind(_KEPT) >= max(len(prefix), shortest):
        raise RuleError("each $ at a position that every fitting number has")
    is_plain = _DIGIT not in right and _KEPT not in right
    return _Rule(prefix, shortest, longest, right, is_plain)


def _lengths(match: "re.Match[str]") -> tuple[int, int]:
    """Return the lengths in braces."""
    shortest, dash, longest = match[2], match[3], match[4]
    if shortest is None and longest is None:
        if match[0].endswith("}"):
            raise RuleError("a length in the braces")
        return 0, _LONGEST
    if not dash:
        return int(shortest), int(shortest)
    if shortest and longest and int(shortest) > int(longest):
        raise RuleError("the shorter length first")
    return int(shortest or 0), int(longest or _LONGEST)


def _precedence(rule: _Rule) -> tuple[int, bool]:
    states_no_length = rule.shortest == 0 and rule.longest == _LONGEST
    return rule.prefix.count(_DIGIT), states_no_length


def _fits(prefix: str, number: str) -> bool:
    return all(
        character in _DIGITS if wanted == _DIGIT else character == wanted
        for wanted, character in zip(prefix, number, strict=False)
    )


def _drawn(replacement: str, number: str, draw: Draw) -> Sequence[str]:
    """Return a replacement with its random and its kept digits filled in."""
    filled = []
    for position, character in enumerate(replacement):
        if character == _DIGIT:
            filled.append(str(draw(10)))
        else:
            filled.append(number[position] if character == _KEPT else character)
    return filled
