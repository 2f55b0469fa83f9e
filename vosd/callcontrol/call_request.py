"""A call in its set-up: what the steps find out, and what it occupies."""

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

import msgspec

from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.billing.accounts import Account
from vosd.billing.call_hold import CallHold
from vosd.billing.parties import Party
from vosd.billing.rates import AppliedRate
from vosd.callcontrol.destinations import WatchedCall
from vosd.callcontrol.taken import Taken
from vosd.routing.dynamic_lists import CountedCall
from vosd.routing.lookups import RedirectTarget
from vosd.routing.pipeline import LeftOut, RouteChoice, RouteRequest
from vosd.sip.headers.portability import Portability
from vosd.stir.verification import SignedCall
from vosd.trunks.dialect import CalleeSource, CallerPrivacy, CallerSource
from vosd.trunks.gateways import MappingGateway, RoutingGateway


class Numbers(Protocol):
    """The numbers of a call request, and what else of its INVITE rules are about.

    The mapping gateway configures which part of the INVITE holds the numbers.
    """

    @property
    def context(self) -> str:
        """Return the phone-context of the number that ``called`` has returned last; empty = it has none."""

    @property
    def is_withheld(self) -> bool:
        """Return whether the header of the number that ``calling`` has returned last asks to withhold it."""

    def called(self, source: CalleeSource) -> str:
        """Return the called number as received."""

    def calling(self, order: Iterable[CallerSource]) -> str:
        """Return the calling number of the first source that has one, as received; empty for none."""

    def is_forwarded(self) -> bool:
        """Return whether the call was meant for another number before."""

    def agent(self) -> str | None:
        """Return the User-Agent; empty for none, None where it does not matter."""

    def media_hosts(self) -> Collection[str]:
        """Return the addresses that media are offered at."""


class SetupFacts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Findings of the steps: a field of it is written to snapshots and read from them without another line."""

    routing_number: str = ""
    """The number by which a ported number is routed; empty = the called number is."""
    callee_rated: str = ""
    """The number whose rates hold; empty = those of the called number do."""
    forward_prefix: str = ""
    """Digits in front of the number by which the customer and its agents pay; empty = the call is not forwarded."""
    caller_privacy: CallerPrivacy = CallerPrivacy.SHOWN
    """A caller that withholds its number is rated as one without."""
    leaves_no_cdr: bool = False
    """It costs no one anything and leaves no record (SERVER_BILLING_NO_CDR_E164S)."""
    targets: tuple[RedirectTarget, ...] = ()
    """Gateways and phones that a redirect server or the inventory has named; none = the switch finds them itself."""
    longest_s: int | None = None
    """Longest call in seconds by the server that has judged the password; None = it says none."""
    interim_s: int | None = None
    """Interval of Interim-Updates in its accounting, likewise."""
    radius_classes: tuple[bytes, ...] = ()
    """Values of Class that it wants back in the accounting (RFC 2865 section 5.25)."""
    did: str = ""
    """The called number, if the inventory has it."""
    media_family: int = 0
    """Address family of the caller's media, 4 or 6; 0 = both, not known, or the switch has sockets of one alone."""
    required_types: tuple[str, ...] = ()
    """Types of bodies that the caller requires to be passed: only gateways that are sent them may be tried."""
    rate: AppliedRate | None = None
    agents: tuple[Party, ...] = ()
    """The agents above the account, from level 1 on, each with its rate."""
    signed: SignedCall | None = None
    """The signature of the INVITE and what it covers, until it is verified."""
    is_forwarded: bool = False
    """Whether it was meant for another number before, as its INVITE says: of a call that waits for certificates."""
    portability: Portability = Portability()
    """Portability of the called number by its Request-URI, likewise."""
    verstat: str = ""
    """Result of the verification of the caller's signature; empty = it was not looked at."""
    attestation: str = ""
    """The attestation of a signature that was verified."""
    identity_fault: str = ""
    """Why the signature was not verified, with the code of RFC 8224."""
    identity_status: int = 0
    """That code, of which the signer is informed; 0 = there is nothing to say."""
    fingerprints: tuple[bytes, ...] = ()
    """Fingerprints of the tokens that the call has used up."""
    is_sampled: bool = False
    """The record of the call says how its route was found, also if the call is answered."""
    sent_back_from: str = ""
    """Id of the call of ours whose INVITE a proxy has sent back to another number; empty = none has."""


class CallRequest(SetupFacts):
    """A call in its set-up; the steps fill in what they find, even if a later one refuses the call."""

    source_host: str
    source_port: int
    hops: int
    """Max-Forwards of the outgoing INVITE; below zero it is used up."""
    at: Instant
    """When the INVITE arrived. Limits use the monotonic part, which moves on with each answer to a question."""
    looped: Refusal | None = None
    """Why it is refused as a call that was here before; None = it is not."""
    numbers: Numbers | None = None
    """None once the numbers are read, or if the call was identified elsewhere."""
    closed: Refusal | None = None
    """Why the switch accepts no new calls; None = it does."""
    user: str = ""
    """The mapping gateway or phone that has authenticated; empty = it is identified by its address."""
    caller_in: str = ""
    """The calling number as received."""
    caller: str = ""
    """The calling number that may be presented, without visual separators."""
    callee_in: str = ""
    """The called number as received; of a local number with a global context the global one."""
    callee: str = ""
    """Without visual separators and tech prefix."""
    callee_billing: str = ""
    mapping: MappingGateway | None = None
    account: Account | None = None
    choices: Iterator[RouteChoice] = iter(())
    searched: RouteRequest | None = None
    """The question whose answer ``choices`` is; None = they are all examined already, or the search is over."""
    left: list[LeftOut] = []
    """The gateways that the search has left out so far, and why."""
    refusal: str = ""
    """Why a step has refused the call, or by which account its money has ended, in words."""
    hold: CallHold | None = None
    counted: CountedCall | None = None
    """The call as the dynamic blacklist counts it; None = it does not."""
    watched: WatchedCall | None = None
    """The call as its class of destinations counts it; None = none does."""
    taken: list[Taken] = []
    """Limits and money that the call occupies, in the order in which they were taken."""

    def caller_at(self, gateway: RoutingGateway) -> str:
        """Return the calling number by which a gateway bills: empty where it is not sent the number."""
        return self.caller if gateway.dialect.shows_number[self.caller_privacy] else ""

    def give_back(self) -> None:
        """Release everything that the call occupies, the latest first; a second call releases nothing."""
        self.hold = None
        while self.taken:
            self.taken.pop().give_back()

    def undo(self) -> None:
        """Release everything as if it had never been taken, because a step refuses the call."""
        self.hold = None
        while self.taken:
            self.taken.pop().undo()
