"""Commands of the control socket that are about money: what calls hold and owe, and bookings of other processes.

Arguments as JSON in, a value that fits into JSON out. Has no rules of its own.
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from vosd.admin.accounts import Commitments
from vosd.base.clock import Clock
from vosd.base.money import format_amount
from vosd.engine.control import Arguments, Verb
from vosd.engine.service import SwitchService


class UnbookedQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calls that ended from a moment to before another, UTC milliseconds."""

    since_ms: int
    until_ms: int


class WithdrawalOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money that an operator is about to take from an account."""

    account: str
    amount: Decimal

    def __post_init__(self) -> None:
        if self.amount <= 0:
            raise ValueError("the amount of a withdrawal is above zero")


class WithdrawalReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A withdrawal that is booked or will not be."""

    id: str


class MoneyCommands:
    """The verbs about the money of one running switch."""

    def __init__(self, service: SwitchService, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    def verbs(self) -> Mapping[str, Verb]:
        """Return the table of verbs for the control socket."""
        return {
            "commitments": self.commitments,
            "unbooked": self.unbooked,
            "refresh_balances": self.refresh_balances,
            "begin_withdrawal": self.begin_withdrawal,
            "end_withdrawal": self.end_withdrawal,
        }

    async def commitments(self, _arguments: Arguments) -> object:
        """Return the reserved and unbooked amounts of each account that has any."""
        return {
            account: Commitments(format_amount(credit.reserved + credit.withheld), format_amount(credit.unbooked))
            for account, credit in self._service.switch.live.credits.items()
            if credit.reserved or credit.unbooked or credit.withheld
        }

    async def unbooked(self, arguments: Arguments) -> object:
        """Return what each account owes of calls that ended in a time and are not booked."""
        question = msgspec.convert(dict(arguments), UnbookedQuestion)
        owed = await self._service.recorder.owed_of(question.since_ms, question.until_ms)
        return {account: format_amount(amount) for account, amount in owed.items()}

    async def refresh_balances(self, _arguments: Arguments) -> object:
        """Read bookings of other processes; answer when done."""
        await self._service.balances.refresh()
        return {}

    async def begin_withdrawal(self, arguments: Arguments) -> object:
        """Keep from calls what is about to be booked; return its id, or what is available where that is less."""
        order = msgspec.convert(dict(arguments), WithdrawalOrder)
        await self._service.balances.refresh()  # another command may have booked since
        begun = self._service.balances.withdrawals.begin(order.account, order.amount, self._clock.now().mono)
        return {"id": begun} if isinstance(begun, str) else {"available": format_amount(begun)}

    async def end_withdrawal(self, arguments: Arguments) -> object:
        """Read the booked balances, then release what was kept from calls; answer when done."""
        self._service.balances.withdrawals.report(msgspec.convert(dict(arguments), WithdrawalReport).id)
        await self._service.balances.refresh()
        return {}
