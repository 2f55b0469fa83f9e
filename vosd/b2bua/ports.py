"""Ports of a call: what it uses of the switch, besides SIP.

All methods return at once and do no I/O. The answer to a question of the set-up that takes time is an event of the call
(ADR 2, ADR 35).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import msgspec

from vosd.b2bua.boards import GatewayBoard, MediaBoard, MoneyBoard
from vosd.b2bua.call_port import SwitchPort
from vosd.b2bua.stamps import Ending
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.cdr.record import Attempt
from vosd.routing.pipeline import RouteChoice
from vosd.trunks.dialect import CallerDialect

if TYPE_CHECKING:
    from vosd.b2bua.given_up import GivenUp


class SetupAnswer(msgspec.Struct, frozen=True):
    """The answer to a question of the set-up; each kind of question has a kind of answer of its own."""


Decision = Iterator[RouteChoice] | Refusal | None
"""Result of the set-up: the routes, a refusal, or None = a question is open."""


class Switchboard(SwitchPort, Protocol):
    """The switch for one call; each call has one of its own."""

    @property
    def gateways(self) -> GatewayBoard:
        """The part for attempts at gateways, until the call is over."""

    @property
    def media(self) -> MediaBoard:
        """The part for media, until the call is over."""

    @property
    def money(self) -> MoneyBoard:
        """The part for money, until the call is over."""

    def ask(self, now: Instant) -> Decision:
        """Ask the open question of the set-up, and set its deadline."""

    def settle(self, answer: SetupAnswer | None, now: Instant) -> Decision:
        """Go on with the set-up now that its question is answered; None = the deadline has passed."""

    def unwanted_answer(self, attempt: Attempt, now: Instant, given_up: "GivenUp", *, is_recorded: bool) -> None:
        """Report an answer that was hung up at once; the vendor charges for it.

        ``is_recorded``: the record of the call has its row.
        """

    def dialect_of(self, trunk: str) -> CallerDialect:
        """Return how a mapping gateway or phone speaks SIP now, by its name."""

    def set_deadline(self, at_ms: int) -> None:
        """Call ``call.deadline_due`` at ``at_ms`` on the monotonic clock, instead of at the deadline before."""

    def vendor_answered(self) -> bool:
        """Journal the answer of the gateway while the caller's 200 waits for a PRACK; False if that fails."""

    def answered(self) -> int | None:
        """Journal the answer before the caller's 200 is sent; return the seconds that are paid for.

        None = it cannot be written, so the 200 must not be sent.
        """

    def answer_sent(self, *, has_waited: bool = False) -> None:
        """Tell those who count and report answered calls that the caller's 200 has left.

        ``has_waited``: later than it came, with the media that it had to wait for; the call is journalled with these.
        """

    def answer_taken_back(self) -> None:
        """Forget the journalled answer: the caller's 200 was not sent, and the customer pays nothing."""

    def acknowledged(self, at: Instant) -> None:
        """Journal that the caller has acknowledged our 200."""

    def over(self, ending: Ending) -> None:
        """Journal the end of the call, release what it holds, and drop it."""
