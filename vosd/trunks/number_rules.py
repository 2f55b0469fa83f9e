"""The settings of trunks and phones for numbers: who may call what, and how numbers are changed.

These are the rules as configured. ``routing.number_rules`` makes of them what a call is checked by; lists and pools are
named here only.
"""

from typing import Annotated

import msgspec

from vosd.trunks.keys import switch
from vosd.trunks.number_format import CallerFormat

Pairs = tuple[tuple[str, str], ...]
"""Rewrite rules: left side and right side of each."""


class LengthRange(msgspec.Struct, frozen=True):
    """Fewest and most digits of a number."""

    shortest: int
    longest: int

    def __str__(self) -> str:
        return str(self.shortest) if self.shortest == self.longest else f"{self.shortest}-{self.longest}"


class IncomingNumbers(msgspec.Struct, frozen=True):
    """Rules of a mapping gateway or phone for the calls that it makes. Patterns, or ``list:`` and a name."""

    callee_allow: tuple[str, ...] = ()
    callee_deny: tuple[str, ...] = ()
    caller_allow: tuple[str, ...] = ()
    caller_deny: tuple[str, ...] = ()
    callee_length: LengthRange | None = None
    """The called number without leading ``+``."""
    callee_rewrite: Pairs = ()
    caller_rewrite: Pairs = ()
    caller_pool: str | None = None
    """The pool that the calling number comes from."""
    caller_format: CallerFormat | None = None
    """The form that calling numbers must have; None = any."""
    caller_drop: Annotated[
        bool, switch("`yes`: the calling number is not passed on, vendors and phones are sent `anonymous`.")
    ] = False

    @property
    def may_change_callers(self) -> bool:
        """Whether calling numbers may go on as others than those that were received."""
        return self.caller_drop or _may_change(self)


class OutgoingNumbers(msgspec.Struct, frozen=True):
    """Rules of a routing gateway for the calls that it is offered."""

    caller_allow: tuple[str, ...] = ()
    caller_deny: tuple[str, ...] = ()
    callee_rewrite: Pairs = ()
    tech_prefix: str = ""
    """In front of the called number, behind all rewriting."""
    caller_rewrite: Pairs = ()
    caller_pool: str | None = None
    caller_format: CallerFormat | None = None
    """The form that calling numbers must have before they are changed; None = any."""

    @property
    def may_change_callers(self) -> bool:
        """Whether the vendor may be sent other calling numbers than those by which calls were routed and rated."""
        return _may_change(self)


def _may_change(numbers: IncomingNumbers | OutgoingNumbers) -> bool:
    form = numbers.caller_format
    return bool(numbers.caller_rewrite or numbers.caller_pool or (form is not None and form.replacement))
