"""What a call asks of the switch around it, besides SIP.

All of it is answered at once and without I/O. A question of the set-up that takes time comes back as an event of the
call (ADR 2, ADR 35).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.cdr.record import Attempt
from vosd.routing.failover import AttemptOutcome
from vosd.routing.pipeline import RouteChoice
from vosd.sip.wire.message import Response
from vosd.trunks.gateways import Address, RoutingGateway

if TYPE_CHECKING:
    from vosd.b2bua.call import Call
    from vosd.b2bua.callee_leg import CalleeLeg
    from vosd.b2bua.hunt import NextHop
    from vosd.b2bua.substitute import Substitute


class Answer(msgspec.Struct, frozen=True):
    """The answer to a question of the set-up; each kind of question has a kind of answer of its own."""


Decision = Iterator[RouteChoice] | Refusal | None
"""What the set-up has come to: where the call may go, why it is refused, or None = a question is open."""


@runtime_checkable
class CallPart(Protocol):
    """Belongs to a call, which ends if a mistake of ours comes up here."""

    @property
    def call(self) -> "Call":
        """The call."""
        ...


class Switchboard(Protocol):
    """The switch, as one of its calls sees it: each call has its own."""

    @property
    def customer(self) -> str | None:
        """The name of the trunk that the call came from."""
        ...

    def ask(self, now: Instant) -> Decision:
        """Ask the question that the set-up of the call waits for, and set its deadline."""
        ...

    def settle(self, answer: Answer | None, now: Instant) -> Decision:
        """Go on with the set-up now that its question is answered; None = the deadline has passed."""
        ...

    def occupy(self, next_hop: "NextHop", now: Instant) -> bool:
        """Reserve capacity of a gateway for one attempt; False if it has none left."""
        ...

    def vacate(self, choice: RouteChoice) -> None:
        """Release the capacity of an answered attempt."""
        ...

    def attempt_rings(self, leg: "CalleeLeg") -> None:
        """Note that a gateway rings, and so works."""
        ...

    def attempt_over(self, leg: "CalleeLeg", outcome: AttemptOutcome | None, now: Instant) -> None:
        """Release the capacity of an unanswered attempt; note its outcome, None = it says nothing about the vendor."""
        ...

    def addresses_of(self, gateway: RoutingGateway, now: Instant) -> Sequence[Address]:
        """Return where the call finds a gateway, in the order to try; empty when its name is not found."""
        ...

    def refused(self, leg: "CalleeLeg", response: Response, now: Instant) -> None:
        """Note a refusal of a vendor, which may have a Retry-After."""
        ...

    def unwanted_answer(self, attempt: Attempt, now: Instant) -> None:
        """Write down an answer that was hung up at once, and may cost money all the same."""
        ...

    def place_transfer(self, substitute: "Substitute", number: str, now: Instant) -> "Call | int":
        """Admit a call to the target of a transfer, on the account of who transfers; a status where it is refused."""
        ...

    def set_deadline(self, at: Instant) -> None:
        """Schedule ``call.deadline_due`` for ``at``; a call has one deadline, the one that was set last."""
        ...

    def answer_waits(self) -> bool:
        """Write down that the gateway has answered, and the caller cannot be told yet; False where that fails."""
        ...

    def answered(self) -> int | None:
        """Write down that the caller is answered, before he is told; return the seconds it may last for now.

        None = it cannot be written down, so the caller must not be told.
        """
        ...

    def moved(self) -> None:
        """Write down that a side of an answered call is another, or elsewhere."""
        ...

    def extend(self) -> int | EndReason:
        """Ask for more time when the granted seconds are over: the new total, or why the call must end."""
        ...

    def refresh_failed(self, gateway: str | None, status: int, now: Instant) -> None:
        """Note that the leg of a gateway, or of the caller (None), did not take a refresh of its session."""
        ...

    def over(self) -> None:
        """Write down that the call has ended (``call.ending``), free what it held, and forget it."""
        ...
