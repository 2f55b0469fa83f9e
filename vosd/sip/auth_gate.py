"""Authentication gate: decides on each new INVITE and REGISTER before any state is kept for it.

It is asked about requests from outside dialogs, except retransmissions of accepted ones. The SIP core applies the
verdict; the implementation (``engine.registration.authentication``) knows the addresses and the digest users.
"""

from collections.abc import Callable, Sized
from typing import Final, NamedTuple, Protocol

from vosd.base.clock import Instant
from vosd.sip.drops import Drop
from vosd.sip.wire.message import Request
from vosd.sip.wire.outgoing import Peer

EXAMINED: Final = frozenset({"INVITE", "REGISTER"})
"""Methods that need a verdict."""


class Accepted(NamedTuple):
    """Accept the request as one of ``user``, who has authenticated; empty = identified by source address."""

    user: str = ""
    longest_s: int | None = None
    """Longest call in seconds, if those who have judged the password say so."""
    interim_s: int | None = None
    """Interval of Interim-Updates in the accounting of the call, likewise."""
    radius_classes: tuple[bytes, ...] = ()
    """Values that they want back in the accounting of the call (RFC 2865 section 5.25)."""
    server_name: str = ""
    """The name by which the certificate of the connection has proven the user; empty = another proof."""


class Challenged(NamedTuple):
    """Answer with a challenge or another failure, and keep no state."""

    status: int
    headers: str
    """Whole header lines."""
    tag: str
    """Tag for To: the same for every retransmission of the request (RFC 3261 section 8.2.7)."""
    why: Drop | None = None
    """Key under which it is counted, if it is more than a first challenge."""


class Waiting(NamedTuple):
    """Keep nothing of the request: the verdict comes later, and the request is then taken again.

    A repetition gets the same verdict meanwhile.
    """


WAITING: Final = Waiting()
Verdict = Accepted | Challenged | Waiting


class SourceRefusal(NamedTuple):
    """Why new requests of a source get 403."""

    why: str
    """For people."""
    headers: str
    """Whole header lines."""


class AuthGate(Protocol):
    """Decides on new requests."""

    @property
    def has_users(self) -> bool:
        """Whether anyone may authenticate; if not, requests of unknown sources are dropped."""

    def may_have_user_at(self, source: Peer) -> bool:
        """Return whether someone may authenticate from a source; if not, its requests are those of an unknown one."""

    @property
    def examines(self) -> bool:
        """Whether ``examine`` is asked: someone may authenticate, or a certificate may say who calls."""

    @property
    def locked(self) -> Sized:
        """The lock-outs, some of which may be over; while there are none, ``is_locked_out`` is not asked."""

    def is_locked_out(self, source: Peer, now: Instant) -> bool:
        """Return whether new requests of a source are dropped."""

    def may_prove(self, source: Peer, now: Instant) -> bool:
        """Return whether an INVITE or REGISTER of a locked-out source is examined: users are at home there."""

    def examine(self, request: Request, source: Peer, now: Instant) -> Verdict:
        """Decide on a REGISTER, an INVITE, or another request that begins something."""

    def has_shown(self, source: Peer, name: str) -> bool:
        """Return whether the peer of an open connection that it has opened itself has proven a name by certificate."""

    @property
    def refusal_of(self) -> Callable[[Peer], SourceRefusal | None] | None:
        """Function that returns why new requests of a source get 403; None = no source is refused like that."""


class _OpenGate:
    """Gate of a switch that identifies by source address only."""

    has_users: Final = False
    examines: Final = False
    refusal_of: Final = None
    locked: Final = ()

    def is_locked_out(self, _source: Peer, _now: Instant) -> bool:
        return False

    def may_have_user_at(self, _source: Peer) -> bool:
        return False

    def may_prove(self, _source: Peer, _now: Instant) -> bool:
        return False

    def examine(self, _request: Request, _source: Peer, _now: Instant) -> Accepted:
        return BY_ADDRESS

    def has_shown(self, _source: Peer, _name: str) -> bool:
        return False


BY_ADDRESS: Final = Accepted()
OPEN_GATE: Final[AuthGate] = _OpenGate()
