"""Calls between a scripted customer and a scripted vendor, for scenarios that need them held open."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from doubles.sockets.peer import ANSWER, Message, OutgoingCall, Peer

from .addresses import VENDORS
from .conditions import talk
from .stage import Stage

CHARGED_S: Final = 0.06
"""How long a call lasts at least: less than 50 ms are no second, and so free."""


class Conversation:
    """One call with both ends in the test's hands."""

    def __init__(self, stage: Stage, customer: Peer, vendor: Peer, prefix: str, passing: tuple[str, ...] = ()) -> None:
        """Requests of ``passing`` may come to the vendor between those of the call."""
        self.vendor = vendor
        self.customer = customer
        self.call = OutgoingCall(customer, stage.address, stage.number(prefix))
        self.incoming: Message | None = None
        self._tag = f"vendor-{self.call.call_id}"
        self._passing = passing
        self._answered_at = 0.0

    @property
    def callee(self) -> str:
        """The number dialled."""
        return self.call.callee

    def establish(self) -> None:
        """Bring the call to where both talk."""
        self.call.invite()
        self.answer(self.vendor.expect("INVITE", passing=self._passing))

    def answer(self, incoming: Message) -> None:
        """Answer at the vendor's end, and see the answer through."""
        self.incoming = incoming
        self.vendor.reply(incoming, 200, tag=self._tag, body=ANSWER)
        self.call.answered()
        self.vendor.expect("ACK", passing=self._passing)
        self._answered_at = time.monotonic()

    def hang_up(self, cseq: int = 2) -> None:
        """Let the caller hang up, once the call is long enough to be charged."""
        talk(self._answered_at + CHARGED_S - time.monotonic())
        assert self.call.hang_up(cseq).status == 200
        self.vendor.reply(self.vendor.expect("BYE", passing=self._passing), 200)

    def hang_up_from_the_vendor(self) -> None:
        """Let the vendor send BYE, without waiting for anything."""
        assert self.incoming is not None, "establish() comes first"
        self.vendor.hang_up(self.incoming, self._tag)

    def is_ended_by_the_switch(self) -> None:
        """Wait for BYE on both sides and answer both."""
        self.customer.reply(self.customer.expect("BYE"), 200)
        self.vendor.reply(self.vendor.expect("BYE"), 200)


@contextmanager
def conversing(
    stage: Stage, *prefixes: str, customer: str = "acme", gateway: str = "carrier-a"
) -> Iterator[list[Conversation]]:
    """Prepare one conversation for each prefix, all through one gateway; none is dialled yet."""
    with ExitStack() as open_sockets:
        vendor = open_sockets.enter_context(Peer(VENDORS[gateway]))
        callers = [open_sockets.enter_context(Peer(stage.endpoint_of(customer))) for _ in prefixes]
        yield [Conversation(stage, caller, vendor, prefix) for caller, prefix in zip(callers, prefixes, strict=True)]
