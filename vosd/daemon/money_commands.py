"""Orders about money, carried out: what calls hold and owe, and bookings of others. Has no rules of its own."""

from collections.abc import Iterator

from vosd.base.clock import Clock
from vosd.base.money import format_amount
from vosd.control.money import (
    BeginWithdrawal,
    Commitments,
    EndWithdrawal,
    ListCommitments,
    ListUnbooked,
    RefreshBalances,
    Withdrawal,
)
from vosd.control.order import Done, Handler
from vosd.engine.service import SwitchService


class MoneyCommands:
    """The orders about the money of one running switch."""

    def __init__(self, service: SwitchService, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    def handlers(self) -> Iterator[Handler]:
        """Yield what carries out each order."""
        yield ListCommitments.answered_by(self.commitments)
        yield ListUnbooked.answered_by(self.unbooked)
        yield RefreshBalances.answered_by(self.refresh_balances)
        yield BeginWithdrawal.answered_by(self.begin_withdrawal)
        yield EndWithdrawal.answered_by(self.end_withdrawal)

    async def commitments(self, _order: ListCommitments) -> dict[str, Commitments]:
        """Return the reserved and unbooked amounts of each account that has any."""
        return {
            account: Commitments(format_amount(credit.reserved + credit.withheld), format_amount(credit.unbooked))
            for account, credit in self._service.switch.live.credits.items()
            if credit.reserved or credit.unbooked or credit.withheld
        }

    async def unbooked(self, question: ListUnbooked) -> dict[str, str]:
        """Return what each account owes of calls that ended in a time and are not booked."""
        owed = await self._service.recorder.owed_of(question.since_ms, question.until_ms)
        return {account: format_amount(amount) for account, amount in owed.items()}

    async def refresh_balances(self, _order: RefreshBalances) -> Done:
        """Read bookings of other processes; answer when done."""
        await self._service.balances.refresh()
        return Done()

    async def begin_withdrawal(self, order: BeginWithdrawal) -> Withdrawal:
        """Keep from calls what is about to be booked; return its id, or what is available where that is less."""
        await self._service.balances.refresh()  # another command may have booked since
        begun = self._service.balances.withdrawals.begin(order.account, order.amount, self._clock.now().mono)
        return Withdrawal(id=begun) if isinstance(begun, str) else Withdrawal(available=begun)

    async def end_withdrawal(self, order: EndWithdrawal) -> Done:
        """Read the booked balances, then release what was kept from calls; answer when done."""
        self._service.balances.withdrawals.report(order.id)
        await self._service.balances.refresh()
        return Done()
