"""Calls to classes of destinations: refused where the class is blocked for an account, counted where it is watched."""

import msgspec

from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.billing.accounts import Account
from vosd.billing.destinations import DestinationUse, DestinationUses
from vosd.billing.holds import AccountHold
from vosd.callcontrol.live_state import LiveState
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.overrides import destination_name


class WatchedCall(msgspec.Struct, eq=False):
    """A call to a watched class, as the call has taken it; it counts once it is answered."""

    uses: DestinationUses
    use: DestinationUse
    number: str
    answered_mono: int | None = None

    def answered(self, mono_ms: int, hold: AccountHold) -> None:
        """Count it from its answer on, with the money of ``hold``; a second call changes nothing."""
        if self.answered_mono is None:
            self.answered_mono = mono_ms
            self.uses.answered(self.use, mono_ms, self.number)
            hold.use = self.use
            self.use.held += hold.amount

    def give_back(self) -> None:
        """Count it as running no longer."""
        if self.answered_mono is not None:
            self.use.released(self.answered_mono)
            self.answered_mono = None

    def undo(self) -> None:
        """Do the same: a call that is refused was not answered."""
        self.give_back()


def is_watched(account: Account) -> bool:
    """Return whether the calls of an account are counted by classes of destinations."""
    return bool(account.destination_limits) or account.new_destination_alarm


def destination_objection(account: Account, number: str, catalogue: Catalogue, live: LiveState) -> Refusal | None:
    """Return why a call to ``number`` is refused: its class is blocked for the account, or for an agent above it.

    Emergency numbers are not: a block is mostly set without anyone looking at it, and ``*`` has them all.
    """
    destination = catalogue.destinations.of(number)
    if destination is None or number in catalogue.parameters.special_numbers.emergency:
        return None
    agents = catalogue.agents.get(account.id, ())
    for payer in (account, *agents):
        block = live.blocks.destinations.get(destination_name(payer.id, destination))
        if block is not None:
            detail = f"account {payer.id} may not call {destination}: blocked {block}"
            return Refusal(EndReason.NUMBER_NOT_ALLOWED, 403, detail)
    return None


def watched_call(
    account: Account, number: str, wall_ms: int, catalogue: Catalogue, live: LiveState
) -> WatchedCall | None:
    """Return how a call to ``number`` is counted; None = it is of no class. ``wall_ms`` is the present, UTC."""
    destination = catalogue.destinations.of(number)
    if destination is None:
        return None
    return WatchedCall(live.destinations, live.destinations.of(account.id, destination, wall_ms), number)
