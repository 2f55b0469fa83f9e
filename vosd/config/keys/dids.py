"""``dids[]``: the inventory of numbers that customers are called by."""

import re
from typing import Annotated, Final

from vosd.config.reader.fields import ONE_OR_MANY, FromText, KeyProblemError, Keys, choice, milliseconds, object_name
from vosd.trunks.ringing import RingOrder

_RANGE: Final = re.compile(r"(\d{1,20})(?:-(\d{1,20}))?\Z", re.ASCII)


def number_or_range() -> FromText:
    """Read one number, or the first and the last number of a range."""

    def read(text: str) -> str:
        found = _RANGE.match(text)
        if found is None:
            raise ValueError
        first, last = found[1], found[2]
        if last is not None and (len(first) != len(last) or last <= first):
            raise ValueError
        return text

    return FromText("a number in digits such as 4930123456, or a range such as 4930123400-4930123499", read)


class DidKeys(Keys):
    """A number, or a range of numbers, and who has it. Calls to it ring here, whatever routes there are."""

    number: Annotated[str, number_or_range()]
    """In digits, as calls have it behind all changes of the mapping gateway; no two entries have a number in common."""
    account: Annotated[str | None, object_name("accounts")] = None
    """The account that has it. Default: it is free, and calls to it get 404."""
    trunk: Annotated[str | None, object_name()] = None
    """Trunk that its calls go to: a routing gateway, or a mapping gateway with ``auth``, which is called where it is
    registered, with the number in the Request-URI."""
    phones: Annotated[tuple[Annotated[str, object_name("phones")], ...], ONE_OR_MANY] = ()
    """Instead of ``trunk``: phones that ring until one answers."""
    ring: Annotated[RingOrder, choice(RingOrder)] = RingOrder.IN_TURN
    """Whether several phones, also those of ``otherwise``, ring one after the other or at the same time (``together``),
    each at all places where it is registered."""
    ring_timeout: Annotated[int, milliseconds(1_000, 120_000)] = 20_000
    """Time for which each of several phones rings."""
    calendar: Annotated[str | None, object_name("calendars")] = None
    """Calendar in whose working time trunk or phones are called. Default: always."""
    otherwise: Annotated[tuple[Annotated[str, object_name("phones")], ...], ONE_OR_MANY] = ()
    """Phones that ring at all other times. Default: none, calls get 480."""

    def _judge(self) -> None:
        if self.trunk is not None and self.phones:
            raise KeyProblemError("phones", "either trunk or phones")
        if self.account is None and (self.trunk is not None or self.phones or self.otherwise):
            raise KeyProblemError("account", "the account that has the number")
        if self.account is not None and self.trunk is None and not self.phones:
            raise KeyProblemError("trunk", "a trunk or phones that are called")
        if self.otherwise and self.calendar is None:
            raise KeyProblemError("otherwise", "beside calendar")
