"""``billing``: what holds for the charges of all accounts, beside VOS3000's parameters."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from vosd.billing.account_rates import FreeTimeScope
from vosd.config.reader.amounts import limit_of_each, overdraft
from vosd.config.reader.fields import Keys, choice


class BillingKeys(Keys):
    """Settings for the charges of all accounts, beside the parameters."""

    free_time_scope: Annotated[FreeTimeScope, choice(FreeTimeScope)] = FreeTimeScope.ALL
    """The free time that counts: that of all charges, or only of customers' and agents'; vendors are then paid for
    every
    second, as their invoices say."""
    ask_above: Annotated[Decimal | None, overdraft()] = Decimal(10_000)
    """Payments, adjustments, refunds and transfers by hand above this amount, in whatever currency, are booked after a
    question where they are typed at a terminal without ``--yes``; ``unlimited`` never asks."""
    confirm_above: Annotated[Decimal | None, overdraft()] = None
    """Above this amount, in whatever currency, such a booking waits until a second person has confirmed it
    (`vosd payment confirm`). Default: unlimited."""
    confirm_above_by: Annotated[Mapping[str, Decimal | None] | None, limit_of_each()] = None
    """Limits of persons in place of ``confirm_above``, by the login of the machine or of the API: ``{ann: 1000, root:
    0}``. All others have ``confirm_above``."""
