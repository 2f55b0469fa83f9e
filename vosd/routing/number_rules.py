"""The rules of one trunk or phone for numbers, with their lists and pools: what calls are checked and changed by.

Order for a call: length and lists of the mapping gateway, its rewriting, the search for a route with the rewritten
numbers, and for each routing gateway its own lists and rewriting. Rules are made once for a catalogue; a trunk without
rules has none, and costs a call nothing.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from vosd.base.number import for_matching, read_by_peers, without_end_signs
from vosd.routing.number_lists import NumberList
from vosd.routing.patterns import PatternSet, compared_caller
from vosd.routing.pools import EmptyPool, NumberPool
from vosd.routing.rewrite import Draw, RewriteRules, WrittenRule
from vosd.trunks.number_rules import IncomingNumbers, OutgoingNumbers, Pairs

LIST: Final = "list:"
"""Begins the name of a list, in place of a pattern."""

_SIGN: Final = re.compile(r"(\\[0-9])|[^0-9?$]")
"""A character that the right side of a rule writes and that is no digit, or a group of an expression."""

TakeNumber = Callable[[NumberPool], str | None]
"""Return the next number of a pool; None = it has none."""


class SentNumbers(NamedTuple):
    """The numbers of a call as a gateway is sent them."""

    callee: str
    caller: str


class _Filter:
    """Patterns and lists of one key."""

    __slots__ = ("_lists", "_patterns")

    def __init__(self, entries: Iterable[str], lists: Mapping[str, NumberList]) -> None:
        entries = tuple(entries)
        named = dict.fromkeys(entry.removeprefix(LIST) for entry in entries if entry.startswith(LIST))
        self._lists = tuple((name, lists[name]) for name in named)
        self._patterns = PatternSet(entry for entry in entries if not entry.startswith(LIST))

    def __bool__(self) -> bool:
        return bool(self._lists or self._patterns)

    def hit(self, number: str) -> str | None:
        """Return the pattern or list that fits, or None."""
        pattern = self._patterns.first_hit(number)
        if pattern is not None:
            return pattern
        return next((f"{LIST}{name}" for name, numbers in self._lists if number in numbers), None)

    def whole(self, number: str) -> str | None:
        """Return the pattern that is the whole number, or the list that has such a one, or None."""
        pattern = self._patterns.pattern_of(number)
        if pattern is not None:
            return pattern
        return next((f"{LIST}{name}" for name, numbers in self._lists if numbers.has_whole(number)), None)


class AllowDeny:
    """An allow list and a deny list: a denied number is refused even if it is allowed, too."""

    __slots__ = ("_allowed", "_denied")

    def __init__(self, allowed: Iterable[str], denied: Iterable[str], lists: Mapping[str, NumberList]) -> None:
        self._allowed = _Filter(allowed, lists)
        self._denied = _Filter(denied, lists)

    def emergency_objection(self, number: str) -> str | None:
        """Return why an emergency number without leading ``+`` is refused: it is denied itself; None = it is not."""
        denied = self._denied.whole(number)
        return None if denied is None else f"denied by {denied}"

    def objection(self, number: str) -> str | None:
        """Return why a number without leading ``+`` is refused; None = it is not.

        A number is denied with ``*`` and ``#`` behind it, too.
        """
        denied = self._denied.hit(number)
        if denied is None and not number.isdecimal():
            denied = self._denied.hit(without_end_signs(number))
        if denied is not None:
            return f"denied by {denied}"
        if self._allowed and self._allowed.hit(number) is None:
            return "not among the allowed ones"
        return None


class _CallerRules:
    """The changes of one side to the calling number: rewrite rules, or a pool whose number takes its place."""

    __slots__ = ("_pool", "_rules")

    def __init__(self, rules: Pairs, pool: NumberPool | None) -> None:
        self._rules = _rules(rules)
        self._pool = pool

    def objection(self) -> str | None:
        """Return why no calling number can be had; None = one can."""
        pool = self._pool
        if pool is None or pool.numbers or pool.when_empty is EmptyPool.ORIGINAL:
            return None
        return f"pool {pool.name} is empty"

    def applied(self, caller: str, draw: Draw, take: TakeNumber) -> str:
        """Return the calling number as it goes on."""
        drawn = None if self._pool is None else take(self._pool)
        if drawn is not None:
            return drawn
        if self._rules is None:
            return caller
        shown = compared_caller(caller)
        changed = self._rules.rewritten(shown, draw)
        return caller if changed == shown else changed


class IncomingRules:
    """The rules of a mapping gateway or phone."""

    __slots__ = ("_callee_rewrite", "_callees", "_caller", "_callers", "_drops_caller", "_length", "_writing_digits")

    def __init__(
        self, numbers: IncomingNumbers, lists: Mapping[str, NumberList], pools: Mapping[str, NumberPool]
    ) -> None:
        self._length = numbers.callee_length
        self._callees = AllowDeny(numbers.callee_allow, numbers.callee_deny, lists)
        self._callers = AllowDeny(numbers.caller_allow, numbers.caller_deny, lists)
        self._callee_rewrite = _rules(numbers.callee_rewrite)
        digits = tuple((left, _SIGN.sub(r"\1", right)) for left, right in numbers.callee_rewrite)
        self._writing_digits = self._callee_rewrite if digits == numbers.callee_rewrite else _rules(digits)
        self._caller = _CallerRules(numbers.caller_rewrite, pools.get(numbers.caller_pool or ""))
        self._drops_caller = numbers.caller_drop

    def objection(self, callee: str, caller: str) -> str | None:
        """Return why a call with these numbers, as received, is refused; None = it is not."""
        number, length = read_by_peers(callee.replace("+", "")), self._length  # rules may remove all such signs
        if length is not None and not length.shortest <= len(number) <= length.longest:
            return f"called number {number} has {len(number)} digits, {length} allowed"
        objection = self._callees.objection(number)
        if objection is not None:
            return f"called number {number} is {objection}"
        shown = compared_caller(caller)
        objection = self._callers.objection(shown)
        return self._caller.objection() if objection is None else f"calling number {shown} is {objection}"

    def emergency_objection(self, callee: str) -> str | None:
        """Return why a call to an emergency number is refused: ``callee_deny`` has this very number."""
        number = read_by_peers(callee.replace("+", ""))
        objection = self._callees.emergency_objection(number)
        return None if objection is None else f"called number {number} is {objection}"

    def callee(self, dialled: str, draw: Draw) -> str:
        """Return the called number by which a call is routed and rated."""
        return dialled if self._callee_rewrite is None else self._callee_rewrite.rewritten(dialled, draw)

    def callee_without_own_signs(self, dialled: str) -> str:
        """Return the called number that the rules would make if they wrote digits alone (any, for random ones).

        What is no digit in it is of the text that was dialled.
        """
        return dialled if self._writing_digits is None else self._writing_digits.rewritten(dialled, lambda _below: 0)

    def applied(self, callee: str, caller: str, draw: Draw, take: TakeNumber) -> SentNumbers:
        """Return the numbers by which a call is routed and rated."""
        callee = self.callee(callee, draw)
        if self._drops_caller:
            return SentNumbers(callee, "")
        return SentNumbers(callee, self._caller.applied(caller, draw, take))


class OutgoingRules:
    """The rules of a routing gateway."""

    __slots__ = ("_callee_rewrite", "_caller", "_callers", "_form", "_tech_prefix", "pool")

    def __init__(
        self, numbers: OutgoingNumbers, lists: Mapping[str, NumberList], pools: Mapping[str, NumberPool]
    ) -> None:
        self._callers = AllowDeny(numbers.caller_allow, numbers.caller_deny, lists)
        self._callee_rewrite = _rules(numbers.callee_rewrite)
        self._tech_prefix = numbers.tech_prefix
        self._form = numbers.caller_format
        self.pool = pools.get(numbers.caller_pool or "")
        """The pool that calling numbers come from; None = from none."""
        self._caller = _CallerRules(numbers.caller_rewrite, self.pool)

    def objection(self, caller: str, *, is_emergency: bool) -> str | None:
        """Return why the gateway takes no call of this caller; None = it does.

        To emergency numbers callers of any form may call, and with the number that they have.
        """
        form = None if is_emergency else self._form
        if form is not None and not form.replacement and not form.fits(caller):
            return f"calling number {caller or 'none'} has not the form of caller_format"
        shown = compared_caller(caller)
        objection = self._callers.objection(shown)
        if objection is not None:
            return f"calling number {shown} is {objection}"
        return None if is_emergency else self._caller.objection()

    def applied(self, callee: str, caller: str, draw: Draw, take: TakeNumber, *, is_emergency: bool) -> SentNumbers:
        """Return the numbers as they go out to the gateway; rules that would leave no called number change nothing."""
        if self._callee_rewrite is not None:
            callee = self._callee_rewrite.rewritten(callee, draw) or callee
        if self._tech_prefix:
            callee = self._tech_prefix + for_matching(callee)
        form = None if is_emergency else self._form
        if form is not None and form.replacement and not form.fits(caller):
            caller = form.replacement
        return SentNumbers(callee, self._caller.applied(caller, draw, take))


def _rules(pairs: Pairs) -> RewriteRules | None:
    return RewriteRules(WrittenRule(*pair) for pair in pairs) if pairs else None
