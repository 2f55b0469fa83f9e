"""Called numbers with rules of their own for billing: free ones, those without CDR, routing and forward prefixes.

The number that is billed is the called one behind its routing prefix. It does not know prices and accounts.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Final

import msgspec

from vosd.base.number import EMERGENCY_SERVICE, without_end_signs
from vosd.routing.patterns import ANY_REST, PatternSet

EMERGENCY: Final = frozenset({"000", "110", "112", "119", "911", "999"})
"""Emergency numbers where the configuration names none."""
SHORTEST_REST: Final = 3
"""Digits that are left of a number at least: shorter numbers have no routing prefix."""


class SpecialNumbers(msgspec.Struct, frozen=True, dict=True):
    """Rules for the called numbers of all calls. Numbers have no leading ``+``."""

    strip_digits: int = 0
    """SERVER_BILLING_GATEWAY_ROUTE_PREFIX: leading digits that are for routing alone."""
    free: tuple[str, ...] = ()
    """SERVER_BILLING_FREE_E164S: exact numbers, or prefixes with a trailing ``*``."""
    no_cdr: tuple[str, ...] = ()
    """SERVER_BILLING_NO_CDR_E164S, likewise; it wins over ``free``."""
    emergency: frozenset[str] = EMERGENCY
    services: Mapping[str, str] = {}
    """Emergency numbers by service (RFC 5031): ``sos``, or a kind of it such as ``sos.police``."""
    forward_prefix: str = ""
    """SERVER_BILLING_FORWARD_PREFIX: digits in front of the number by which a forwarded call is sold; empty = none."""
    no_cdr_memos: Mapping[str, str] = {}
    """Why calls to a number of ``no_cdr`` leave no CDR, by its pattern, where the configuration says it."""

    def number_of_service(self, urn: str) -> str | None:
        """Return the number of an emergency service, else of the service that it is a kind of; None for none."""
        service = urn.removeprefix(EMERGENCY_SERVICE.removesuffix("sos"))
        while service and service not in self.services:
            service = service.rpartition(".")[0]
        return self.services.get(service)

    def is_emergency(self, number: str) -> bool:
        """Return whether a billed number is one of ``emergency``, or an emergency service that has no number."""
        return number in self.emergency or number.startswith(EMERGENCY_SERVICE)

    @cached_property
    def has_rules(self) -> bool:
        """Whether any number is free or leaves no CDR, or forwarded calls have prices of their own."""
        return bool(self.free or self.no_cdr or self.forward_prefix)

    @cached_property
    def _free(self) -> PatternSet:
        return PatternSet(self.free)

    @cached_property
    def _no_cdr(self) -> PatternSet:
        return PatternSet(self.no_cdr)

    @cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset(each for each in self.free if not each.endswith(ANY_REST))

    def billed(self, number: str, digits: int) -> str:
        """Return a number behind its routing prefix of so many digits.

        Short numbers, emergency numbers and what is no number have none.
        """
        dialled = without_end_signs(number)
        if len(dialled) < digits + SHORTEST_REST or number in self.emergency or not dialled.isdecimal():
            return number
        return number[digits:]

    def leaves_no_cdr(self, billed: str) -> bool:
        """Return whether calls to the number leave no CDR."""
        return billed in self._no_cdr

    def why_no_cdr(self, billed: str) -> str:
        """Return the memo of the pattern by which calls to the number leave no CDR; empty where it has none."""
        return self.no_cdr_memos.get(self._no_cdr.first_hit(billed) or "", "")

    def free_by(self, billed: str, dialled: str) -> str | None:
        """Return the pattern by which calls to the number are free, None if they are not.

        Exact patterns fit the number with its routing prefix as well, so that a short code stays free.
        """
        pattern = self._free.first_hit(billed)
        return dialled if pattern is None and dialled in self._exact else pattern


def overlapping(first: str, second: str) -> bool:
    """Return whether some number fits both patterns."""
    one, other = first.removesuffix(ANY_REST), second.removesuffix(ANY_REST)
    if first.endswith(ANY_REST) and second.endswith(ANY_REST):
        return one.startswith(other) or other.startswith(one)
    if first.endswith(ANY_REST):
        return other.startswith(one)
    return one.startswith(other) if second.endswith(ANY_REST) else one == other
