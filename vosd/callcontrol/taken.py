"""Quantities of pools that a call occupies: how each is given back, and how it is described (ADR 118).

A pool is what calls share: the places of a gateway or an account, the money of an account, the calls of one caller. Its
authority (``Occupancy``, ``AccountCredit``, ``DynamicLists``) decides what a call gets of it.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Never, NoReturn

import msgspec

from vosd.b2bua.snapshot.references import NoSnapshotError
from vosd.billing.call_hold import CallHold
from vosd.callcontrol.destinations import WatchedCall
from vosd.routing.dynamic_lists import CountedCall
from vosd.routing.ports import Capacity
from vosd.trunks.scope import LimitScope


class PlaceTaken(msgspec.Struct, frozen=True, gc=False):
    """One of the concurrent calls of a gateway or account, and one of its calls of the last second."""

    occupancy: Capacity
    scope: LimitScope
    name: str
    mono_ms: int

    def give_back(self) -> None:
        """Release the concurrent call; the calls of the last second still include it."""
        self.occupancy.release(self.scope, self.name)

    def undo(self) -> None:
        """Release both."""
        self.occupancy.undo(self.scope, self.name, self.mono_ms)


Taken = PlaceTaken | CallHold | CountedCall | WatchedCall
"""Limit or money that a call occupies: ``give_back`` releases it at the end of the call, ``undo`` as if it had never
been taken.

The kinds are listed, and not a protocol, so that a type check finds each place that has to know a new one: the
description of a call has to say what becomes of it in another process (``described_taken``).
"""


class PlaceHeld(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="place"):
    """Description of one place of a gateway or account, which is held until the call ends."""

    scope: LimitScope
    name: str
    mono_ms: int
    """When it was taken."""


class CallerHeld(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="caller"):
    """Description of one of the concurrent calls of a caller, as the dynamic blacklist counts it."""

    gateway: str
    caller: str
    target: str
    mono_ms: int
    """When it was counted."""


class MoneyHeld(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="money"):
    """Description of money of one account.

    Those of a call follow each other as in ``CallHold.holds``; their rates, of the customer, its agents and the vendor,
    are among the other facts of the call.
    """

    account: str
    amount: Decimal
    granted_s: int
    """The amount is enough until then (``AccountHold.granted_s``)."""
    advance_s: int
    lead_s: int
    limit: Decimal | None
    """Overdraft limit of the account, as it is without an outage; None = it has none."""


Held = PlaceHeld | CallerHeld | MoneyHeld


def described_taken(taken: Iterable[Taken]) -> tuple[Held, ...]:
    """Describe what a call occupies; another process takes it again by that.

    A loop over the kinds, because every answered call is described: a method of each would be one more function.

    Raises:
        NoSnapshotError: it is of an unknown kind.
    """
    held: list[Held] = []
    for each in taken:
        if isinstance(each, PlaceTaken):
            held.append(PlaceHeld(each.scope, each.name, each.mono_ms))
        elif isinstance(each, CallHold):
            for one in each.holds:
                credit = one.credit
                money = credit.account, one.amount, one.granted_s, one.advance_s, one.lead_s, credit.own_limit
                held.append(MoneyHeld(*money))
        elif isinstance(each, CountedCall):
            if not each.is_over:
                held.append(CallerHeld(*each.caller, each.target, each.mono_ms))
        elif isinstance(each, WatchedCall):
            pass  # the watch counts the calls of an earlier process when it begins (``SwitchUnderWatch.attach``)
        else:
            _refuse(each)
    return tuple(held)


def _refuse(unknown: Never) -> NoReturn:
    """Refuse a kind that is not described above; a type check does so already."""
    raise NoSnapshotError(f"a call occupies what cannot be written down: {unknown!r}")
