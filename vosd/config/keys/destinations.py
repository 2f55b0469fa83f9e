"""``destination_classes[]`` and ``accounts[].destination_limits[]``: what calls to classes of numbers may use."""

import re
from decimal import Decimal
from typing import Annotated, Final

from vosd.billing.spending import SpendAction
from vosd.config.reader.amounts import price
from vosd.config.reader.fields import FromText, KeyProblemError, Keys, choice, text_where, whole
from vosd.config.reader.number_rules import COMMA_SEPARATED
from vosd.config.reader.numbers import rate_prefix

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,24}\Z")
_MINUTES_MAX: Final = 10_000_000


def class_name() -> FromText:
    """Read the name of a class of destinations."""
    return text_where(_NAME.match, "a name of 1 to 24 letters, digits, dots, dashes and underscores")


class DestinationClassKeys(Keys):
    """A named set of called prefixes. A number belongs to the class with its longest prefix. See docs/billing.md."""

    name: Annotated[str, class_name()]
    """Unique, such as ``premium``. Letters, digits, dots, dashes, underscores."""
    prefixes: Annotated[tuple[Annotated[str, rate_prefix()], ...], COMMA_SEPARATED]
    """Digits without ``+``, as behind ``callee_rewrite``; ``*`` is every number without a longer prefix."""

    def _judge(self) -> None:
        if not self.prefixes:
            raise KeyProblemError("prefixes", "one prefix or more")


class DestinationLimitKeys(Keys):
    """Limits of an account's use of a class of destinations in an hour of UTC."""

    destination: Annotated[str, class_name()]
    """Name of a class of ``destination_classes``; each once."""
    factor: Annotated[int, whole(1, 1_000)] = 5
    """So many times the most of the same hour of the past days (``alarms.past_days``) is allowed."""
    minutes: Annotated[int | None, whole(1, _MINUTES_MAX)] = 30
    """So many minutes are allowed, however little it was."""
    spend: Annotated[Decimal | None, price()] = None
    """So much money is allowed, however little it was; tax included, in the currency of the account. Default: money is
    compared with ``max_spend`` only."""
    max_minutes: Annotated[int | None, whole(1, _MINUTES_MAX)] = None
    """More minutes are not allowed, however many there were. It alone holds for an account in its first day, and until
    the past is read. Default: no such limit; in its first day ``minutes``."""
    max_spend: Annotated[Decimal | None, price()] = None
    """A higher cost is not allowed, however high it was."""
    action: Annotated[SpendAction, choice(SpendAction)] = SpendAction.EVENT
    """``event`` raises the alarm ``fraud_suspected``; ``block`` also refuses new calls of the account to the class;
    ``hang up`` also ends those that run."""
    block_for: Annotated[int, whole(0, 31_536_000, "seconds")] = 0
    """Duration of a block. Default: until ``vosd account unblock ID --destination CLASS``."""

    def _judge(self) -> None:
        for floor, cap, key in (
            (self.minutes if "minutes" in self.model_fields_set else None, self.max_minutes, "max_minutes"),
            (self.spend, self.max_spend, "max_spend"),
        ):
            if floor is not None and cap is not None and cap < floor:
                raise KeyProblemError(key, f"at least {floor}, which is always allowed")
