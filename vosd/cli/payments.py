"""``vosd payment``: money that does not come from calls."""

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from uuid import uuid4

import click
import msgspec

from vosd.base.money import format_amount
from vosd.cli import output
from vosd.cli.acting import as_option, authority, recorded_operator, refuse
from vosd.cli.arguments import AMOUNT, operator_option
from vosd.cli.arguments import operator as login
from vosd.cli.asking import ask, yes_option
from vosd.cli.command import Family, Invocation, OperationError, json_option, pass_invocation
from vosd.cli.overrides import now_ms
from vosd.cli.payment_file import import_file

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from vosd.admin.payments import PaymentReceipt
    from vosd.admin.second_person import ByHand, PaymentOrder, Person, Receipts

ZERO_TYPE: Final = "zero"
REFUND_TYPE: Final = "refund"
TRANSFER_TYPE: Final = "transfer"

Result = TypeVar("Result")


class Terms(NamedTuple):
    """What every booking by hand has beside its amount."""

    reference: str
    operator: str
    memo: str | None
    force: bool
    yes: bool


def _booking_options(command: Any) -> Any:
    """Add ``--reference``, ``--memo``, ``--operator``, ``--as``, ``--force``, ``--yes`` and ``--json`` to a verb."""
    command = yes_option(json_option(operator_option(as_option(command))))
    help_text = "Take what running calls hold, too; without it no more than is available."
    command = click.option("--force", is_flag=True, help=help_text)(command)
    command = click.option("--memo", metavar="TEXT")(command)
    help_text = "Unique name: the same one is booked once."
    return click.option("--reference", metavar="TEXT", help=help_text)(command)


def _terms(
    reference: str | None, operator: str, memo: str | None, acting: str | None, *, force: bool, yes: bool
) -> Terms:
    if reference == "":  # an unset variable of a script would book the payment again at each run
        raise click.UsageError("--reference is empty; leave it out for a payment that need not be repeatable")
    refuse(acting, force=force)
    return Terms(reference or str(uuid4()), recorded_operator(operator, acting), memo, force, yes)


@click.group(cls=Family)
def payment() -> None:
    """Money that does not come from calls."""


payment.add_command(import_file)


@payment.command("add")
@click.option("--account", "account_id", required=True, metavar="ID")
@click.option("--amount", type=AMOUNT, metavar="DECIMAL", help="Negative for an adjustment alone; zero takes none.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["payment", "adjustment", REFUND_TYPE, ZERO_TYPE]),
    default="payment",
    show_default=True,
    help="refund pays money back and lowers the balance; zero brings the balance to zero.",
)
@_booking_options
@pass_invocation
def add(
    invocation: Invocation,
    account_id: str,
    amount: Decimal | None,
    kind: str,
    reference: str | None,
    memo: str | None,
    operator: str,
    acting: str | None,
    force: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Book money on an account and print its balance before and after.

    On a vendor's account a payment is what you have paid to the vendor. With --as an account below the agent gets it
    from the agent's own.
    """
    if (amount is None) != (kind == ZERO_TYPE):
        raise click.UsageError("--amount is needed, except with --type zero, which takes none")
    if amount is not None and not amount:
        raise click.UsageError("--amount 0 books nothing")
    if kind == REFUND_TYPE and amount is not None and amount < 0:
        raise click.UsageError("--amount of a refund is what is paid back: say it without a minus sign")
    if force and kind != REFUND_TYPE:
        raise click.UsageError("--force is for --type refund; the others are booked whatever is left")
    refuse(acting, type=kind != "payment")
    if acting is not None and (amount is None or amount < 0):
        raise click.UsageError("--amount of an agent is above zero")
    if kind == "payment" and amount is not None and amount < 0:
        raise click.UsageError(
            "--amount of a payment is what was received: a correction is --type adjustment, and what is paid back is "
            "--type refund without a minus sign"
        )
    terms = _terms(reference, operator, memo, acting, force=force, yes=yes)
    may = authority(invocation, acting)
    if may is not None:
        may.require_ledger(account_id)
    if amount is not None:
        _ask_above(invocation, amount, f"a {kind} of {format_amount(amount)} on {account_id}", terms)
    order = _order(account_id, kind, amount or Decimal(0), terms)
    if may is not None and account_id != may.agent:
        order = _order(may.agent, TRANSFER_TYPE, amount or Decimal(0), terms, account_id)
    receipt = _booked(invocation, order, terms, as_json=as_json)[-1]
    _remark(receipt)
    if as_json:
        output.document(receipt)
        return
    _say_repeated(receipt)
    shown = {"balance before": receipt.before, "amount": receipt.amount, "balance after": receipt.after}
    output.sheet(shown if receipt.expires_at is msgspec.UNSET else shown | {"expires at": receipt.expires_at})


@payment.command("transfer")
@click.option("--from", "source", required=True, metavar="ID", help="Account that pays.")
@click.option("--to", "target", required=True, metavar="ID", help="Account that receives.")
@click.option("--amount", type=AMOUNT, required=True, metavar="DECIMAL")
@_booking_options
@pass_invocation
def transfer(
    invocation: Invocation,
    source: str,
    target: str,
    amount: Decimal,
    reference: str | None,
    memo: str | None,
    operator: str,
    acting: str | None,
    force: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Move money between two accounts of one currency: both entries or none.

    Refused where more would be moved than the first account has available.
    """
    if amount <= 0:
        raise click.UsageError("--amount of a transfer is above zero; --from and --to say its direction")
    if source == target:
        raise click.UsageError("--from and --to are the same account")
    terms = _terms(reference, operator, memo, acting, force=force, yes=yes)
    may = authority(invocation, acting)
    if may is not None:
        if source != may.agent:
            raise click.UsageError(f"--from is the agent's own account, {may.agent}: it pays from no other one")
        may.require_ledger(target)
    _ask_above(invocation, amount, f"a transfer of {format_amount(amount)} from {source} to {target}", terms)
    receipts = _booked(invocation, _order(source, TRANSFER_TYPE, amount, terms, target), terms, as_json=as_json)
    _remark(receipts[0])
    if as_json:
        output.document(receipts)
        return
    _say_repeated(receipts[0])
    rows = [[each.account, each.before, each.amount, each.after] for each in receipts]
    output.table(("account", "balance before", "amount", "balance after"), rows, empty="")


def _ask_above(invocation: Invocation, amount: Decimal, what: str, terms: Terms) -> None:
    """Ask before a booking that is larger than ``billing.ask_above``."""
    limit = invocation.excerpt.ask_above
    if limit is not None and abs(amount) > limit:
        ask(f"This books {what}, more than billing.ask_above of {limit:f}. Book it?", yes=terms.yes)


def _remark(receipt: "PaymentReceipt") -> None:
    if receipt.untold:
        output.remark(f"booked, but the running switch has not taken the new balance yet: {receipt.untold}")


def _say_repeated(receipt: "PaymentReceipt") -> None:
    if receipt.repeated:
        output.line(f"reference {receipt.reference} was booked before; nothing was booked now")


def _order(account_id: str, kind: str, amount: Decimal, terms: Terms, target: str = "") -> "PaymentOrder":
    from vosd.admin.second_person import PaymentOrder
    from vosd.storage.ports import EntryKind

    return PaymentOrder(
        account=account_id,
        kind=EntryKind(kind),
        amount=-amount if kind == REFUND_TYPE else amount,
        reference=terms.reference,
        memo=terms.memo,
        target=target,
        forced=terms.force,
    )


def _booked(invocation: Invocation, order: "PaymentOrder", terms: Terms, *, as_json: bool) -> "Receipts":
    """Return what was booked; end with exit code 1 where the order waits for a second person."""
    from vosd.admin.second_person import WaitingSheet

    done = asyncio.run(_by_hand(invocation, lambda by_hand: by_hand.book(order, person(terms.operator), now_ms())))
    if not isinstance(done, WaitingSheet):
        return done
    if as_json:
        output.document(done)
    message = f"not booked yet: it waits for a second person, who says vosd payment confirm {done.id}"
    raise OperationError(message)


def person(name: str) -> "Person":
    """Return who runs this command, under a name that is recorded."""
    from vosd.admin.second_person import Person

    return Person(name, login())


async def _by_hand(invocation: Invocation, act: "Callable[[ByHand], Awaitable[Result]]") -> "Result":
    from vosd.admin.second_person import ByHand
    from vosd.cli.database import database_of

    excerpt = invocation.excerpt
    async with database_of(invocation.database_url) as database:
        return await act(ByHand(excerpt.accounts(), database, invocation.running_switch(), excerpt.confirm_above))


@payment.command("waiting")
@json_option
@pass_invocation
def waiting(invocation: Invocation, as_json: bool) -> None:
    """List the payments that wait for a second person, the oldest first (`billing.confirm_above`)."""
    found = asyncio.run(_by_hand(invocation, lambda by_hand: by_hand.waiting()))
    if as_json:
        output.document(found)
        return
    rows = [
        [each.id, each.type, each.account, each.target, each.amount, each.asked_by, each.asked_at, each.memo]
        for each in found
    ]
    columns = ("id", "type", "account", "to", "amount", "asked by", "asked at", "memo")
    output.table(columns, rows, empty="no payment waits")


@payment.command("confirm")
@click.argument("number", type=click.IntRange(1), metavar="ID")
@operator_option
@json_option
@pass_invocation
def confirm(invocation: Invocation, number: int, operator: str, as_json: bool) -> None:
    """Book a payment that waits; another person than the one who has asked for it.

    The entry has who asked as operator, and who confirmed in its memo.
    """
    receipts = asyncio.run(_by_hand(invocation, lambda by_hand: by_hand.confirm(number, person(operator), now_ms())))
    _remark(receipts[0])
    if as_json:
        output.document(receipts)
        return
    _say_repeated(receipts[0])
    rows = [[each.account, each.before, each.amount, each.after] for each in receipts]
    output.table(("account", "balance before", "amount", "balance after"), rows, empty="")


@payment.command("refuse")
@click.argument("number", type=click.IntRange(1), metavar="ID")
@click.option("--memo", metavar="TEXT", help="Why; who asks again under the reference reads it.")
@operator_option
@json_option
@pass_invocation
def refuse_waiting(invocation: Invocation, number: int, memo: str | None, operator: str, as_json: bool) -> None:
    """Refuse a payment that waits, or take back one's own."""
    found = asyncio.run(_by_hand(invocation, lambda by_hand: by_hand.refuse(number, person(operator), now_ms(), memo)))
    if as_json:
        output.document(found)
        return
    output.line(f"refused: {found.type} of {found.amount} on {found.account}, reference {found.reference}")
