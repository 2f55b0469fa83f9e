"""The door: who begins something with us proves who it is before anything is kept of its request.

A verdict is given on each INVITE and REGISTER from outside dialogs that is no repetition of one that was let in. The
core only obeys it; who is known by address and who by a digest is known to whoever stands at the door.
"""

from typing import Final, NamedTuple, Protocol

from vosd.base.clock import Instant
from vosd.sip.wire.compose import Peer
from vosd.sip.wire.message import Request

UNKNOWN: Final = "unknown source"
"""Why a challenge is reported: the source is unknown and sends no credentials."""
EXAMINED: Final = frozenset({"INVITE", "REGISTER"})
"""What needs a verdict."""


class LetIn(NamedTuple):
    """It goes on as the request of ``user``, who has proven to be that; empty = whoever its address says."""

    user: str = ""


class Challenged(NamedTuple):
    """It is answered with a challenge, or another failure, and forgotten."""

    status: int
    headers: str
    """Whole lines."""
    tag: str
    """Of To: the same each time that the same request comes (RFC 3261 section 8.2.7)."""
    why: str = ""
    """What it is counted under, if it is more than a question."""


Verdict = LetIn | Challenged


class AuthGate(Protocol):
    """Whoever gives the verdicts."""

    @property
    def examines_unknown_sources(self) -> bool:
        """Whether anybody may prove who it is; else requests from unknown addresses are dropped unread."""
        ...

    def is_shut_to(self, source: Peer, now: Instant) -> bool:
        """Say whether nothing that begins something is heard from a source."""
        ...

    def examine(self, request: Request, source: Peer, now: Instant) -> Verdict:
        """Judge an INVITE or REGISTER."""
        ...


class _OpenGate:
    """Where addresses are all that counts."""

    examines_unknown_sources: Final = False

    def is_shut_to(self, _source: Peer, _now: Instant) -> bool:
        return False

    def examine(self, _request: Request, _source: Peer, _now: Instant) -> LetIn:
        return BY_ADDRESS


BY_ADDRESS: Final = LetIn()
OPEN_GATE: Final[AuthGate] = _OpenGate()
