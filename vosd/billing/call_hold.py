"""The money of one call: a hold on every account that pays for it, with one deadline, the earliest (ADR 3, ADR 56).

It knows accounts and seconds. Who pays by which rate is found by the steps of the set-up, and when a vendor is tried
by the search for routes.
"""

from copy import copy
from decimal import Decimal

import msgspec

from vosd.base.errors import Refusal
from vosd.base.money import ZERO
from vosd.billing.holds import AccountCredit, AccountHold, Pool
from vosd.billing.rater import total_at
from vosd.billing.rates import AppliedRate, hold_seconds


class CallHold(msgspec.Struct, eq=False, gc=False):
    """Money that a call holds of its customer, of the agents above it, and of vendors that are paid in advance."""

    holds: list[AccountHold]
    """The customer's first, then those of its agents from the nearest up, then those of vendors."""
    granted_s: int
    """For how many seconds from our 200 every account has paid, which may be more than the ceiling."""
    ceiling_s: int
    """The call ends here whatever money there is; a call that reached it has not used its money up."""
    vendors: list[AccountHold] = []
    """Holds of attempts: more than one only while an attempt takes the place of another."""
    is_shared: bool = False
    """Two of the holds are on one account."""
    used_up: str = ""
    """Why the call was granted nothing more when it was asked for last, with the account, in words; empty = it was, or
    each account alone would pay for a second more."""

    def give_back(self) -> None:
        """Release all of it at the end of the call."""
        for place, hold in enumerate(self.holds):
            if self.is_shared:
                hold.is_further = any(each.credit is hold.credit for each in self.holds[:place])
            hold.credit.release(hold)

    def undo(self) -> None:
        """Release all of it, because the call is refused."""
        self.give_back()

    def add_agent(self, credit: AccountCredit, applied: AppliedRate, advance_s: int) -> Refusal | None:
        """Hold the first seconds on the account of an agent, too; where it has not enough, nothing is changed."""
        hold = credit.hold(applied, advance_s, self.ceiling_s)
        if isinstance(hold, Refusal):
            return hold
        self.add(hold)
        return None

    def join(self, credit: AccountCredit, applied: AppliedRate, advance_s: int, elapsed_s: int = 0) -> Refusal | None:
        """Hold the first seconds on the account of a vendor that is about to be tried.

        Where it has not enough, nothing is changed. The vendor charges from its own 200, so its seconds count from
        there until ``answered`` says how much earlier that was. ``elapsed_s``: the customer has been charged for so
        many seconds already, and the vendor charges from its INVITE, which is sent now.
        """
        hold = credit.hold(applied, advance_s, advance_s)
        if isinstance(hold, Refusal):
            return hold
        hold.lead_s = -elapsed_s
        self.add_vendor(hold)
        return None

    def leave(self, account: str | None, applied: AppliedRate | None) -> None:
        """Release what is held for an attempt that is over; an account that is held for nothing is ignored."""
        hold = self._of_attempt(account, applied)
        if hold is not None:
            self.vendors = [each for each in self.vendors if each is not hold]
            self.holds = [each for each in self.holds if each is not hold]
            hold.credit.release(hold)
            self._settle()

    def could_join(
        self,
        credit: AccountCredit,
        applied: AppliedRate,
        advance_s: int,
        leaving: tuple[str | None, AppliedRate | None],
    ) -> bool:
        """Return whether ``join`` would hold the money behind ``leave`` of another attempt; nothing is changed."""
        trial, left = credit.copied(), self._of_attempt(*leaving)
        if left is not None and left.credit is credit:
            trial.release(copy(left))
        return not isinstance(trial.hold(applied, advance_s, advance_s), Refusal)

    def answered(self, lead_ms: int) -> None:
        """Begin the time that is paid for: the caller is sent its 200 so much later than the vendor has answered.

        The vendor's account pays for the difference as well, if it can; else the call ends by so much earlier.
        """
        for hold in self.vendors:
            hold.lead_s = hold_seconds(lead_ms, hold.applied.policy.hold_time_precision_ms)
            if hold.lead_s:
                credit = hold.credit
                credit.grant(hold, credit.reach(hold, hold.granted_s + hold.lead_s), hold.lead_s)
        if self.vendors:
            self._settle()

    @property
    def vendor_s(self) -> int | None:
        """Number of seconds after its own 200 that the vendor is paid for; None = it is not paid in advance."""
        return self.vendors[-1].granted_s if self.vendors else None

    def end_within(self, ceiling_s: int) -> None:
        """Lower the ceiling to the longest call that the vendor which answered takes."""
        self.ceiling_s = min(self.ceiling_s, ceiling_s)

    def extend(self, ahead_s: int = 0) -> bool:
        """Grant more seconds on all accounts alike, never past the ceiling, when those granted before are over.

        ``ahead_s``: so many of these are not over yet.

        How many is the least of what each of them grants: its advance, its share of what it has left, whole cycles
        (``AccountCredit.reach``). False = one of them pays for not one second more; the call ends at ``granted_s``.
        """
        until_s = self.granted_s
        target_s = self.ceiling_s
        for hold in self.holds:
            most_s = min(until_s + hold.advance_s, self.ceiling_s) + hold.lead_s
            reached_s = hold.credit.reach(hold, most_s) - hold.lead_s
            target_s = min(target_s, reached_s)
        if self.is_shared:
            target_s = self._payable_together(until_s, target_s)
        if target_s <= until_s:
            self.used_up = self._objection() if until_s < self.ceiling_s else ""
            return False
        for hold in self.holds:
            hold.credit.grant(hold, target_s + hold.lead_s, max(0, until_s - ahead_s + hold.lead_s))
        self._settle()
        self.used_up = ""
        return True

    def add(self, hold: AccountHold) -> None:
        """Add a hold that is taken already."""
        self.is_shared = self.is_shared or any(each.credit is hold.credit for each in self.holds)
        self.holds.append(hold)
        self.granted_s = min(self.granted_s, hold.granted_s - hold.lead_s)

    def add_vendor(self, hold: AccountHold) -> None:
        """Add the hold of an attempt that is taken already."""
        self.vendors.append(hold)
        self.add(hold)

    def _of_attempt(self, account: str | None, applied: AppliedRate | None) -> AccountHold | None:
        for hold in self.vendors:
            if hold.credit.account == account and hold.applied == applied:
                return hold
        return None

    def _objection(self) -> str:
        for place, hold in enumerate(self.holds):
            objection = hold.credit.objection(hold, self.granted_s + 1 + hold.lead_s)
            if objection and place:
                what = "vendor" if any(each is hold for each in self.vendors) else "agent"
                return f"{what} {hold.credit.account}: {objection}"
            if objection:
                return objection
        return ""

    def _settle(self) -> None:
        self.granted_s = max(0, min([each.granted_s - each.lead_s for each in self.holds]))

    def _payable_together(self, until_s: int, target_s: int) -> int:
        """Return up to when accounts that pay for the call twice can pay for both; never less than ``until_s``."""
        paid_s, unpaid_s = until_s, target_s + 1
        while unpaid_s - paid_s > 1:
            middle_s = (paid_s + unpaid_s) // 2
            if self._is_payable(middle_s):
                paid_s = middle_s
            else:
                unpaid_s = middle_s
        return paid_s

    def _is_payable(self, target_s: int) -> bool:
        wanted: dict[Pool, Decimal] = {}
        for hold in self.holds:
            seconds = target_s + hold.lead_s
            more = total_at(hold.applied, seconds) - hold.amount if seconds > hold.granted_s else ZERO
            wanted[hold.credit] = wanted.get(hold.credit, ZERO) + more
        return all(not more or credit.covers(more) for credit, more in wanted.items())
