"""Store that the transactions of one endpoint share: queue of datagrams, timers, finished transactions."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from vosd.base.clock import Instant
from vosd.base.wheel import TICK_MS, Timer, TimerWheel
from vosd.sip.device import Device
from vosd.sip.events import Event
from vosd.sip.owners import ClientOwner
from vosd.sip.settings import Timers
from vosd.sip.transaction.finished import FinishedTransactions
from vosd.sip.transaction.refused import RecentRefusals
from vosd.sip.wire.classify import answered
from vosd.sip.wire.outgoing import Datagram, Peer, ProvenAck

if TYPE_CHECKING:
    from vosd.sip.transaction.bye_to_user import ByeToUser
    from vosd.sip.transaction.client import Client, InviteClient
    from vosd.sip.transaction.server import InviteServer, Server


class TimerOwner(Protocol):
    """An object that sets timers on the wheel of the store."""

    def timer_due(self, now: Instant) -> Event | None:
        """Act on the timer; return the event for the user of the endpoint, if there is one."""


class Sender(TimerOwner, Protocol):
    """An object that sends a message and retransmits it."""

    def transport_failed(self, now: Instant) -> Event | None:
        """Act on the end of the connection that the message was sent on (RFC 3261 section 8.1.3.1)."""


class RegisteredPlace(NamedTuple):
    """A place where a user is registered."""

    peer: Peer
    contact: str
    device: Device


PlacesOf = Callable[[str], Sequence[RegisteredPlace]]
"""Returns the places of a registered user, without those that a proxy stands before (Path)."""


def at_no_place(_user: str) -> Sequence[RegisteredPlace]:
    """Return that a user is registered nowhere (``PlacesOf``)."""
    return ()


UNREACHABLE_MS: Final = 300_000
"""For how long large requests are sent over UDP to a peer that accepts no connection."""
UNREACHABLE_MAX: Final = 1_024
"""Number of such peers that are kept."""


def sent_ack(key: str) -> str:
    """Return the key by which the ACK of a 2xx is kept; no response has it, since broken peers answer ACKs."""
    return f"{key} sent"


class TransactionStore:
    """Live transactions by key, finished ones, timers, and the datagrams to send."""

    __slots__ = (
        "byes_to_users", "clients", "finished", "invites_to_users", "merging", "out", "places_of", "received_again",
        "refused", "reliable", "sent_again", "servers", "streams", "timers", "unclaimed", "unreachable", "wheel",
    )  # fmt: skip

    def __init__(self, timers: Timers, reliable: Sequence[bool] = (False,)) -> None:
        self.timers = timers
        self.reliable = tuple(reliable)
        """For each flow, whether its transport is reliable."""
        self.streams: dict[Peer, dict[Sender, None]] = {}
        """By peer, what waits for a response over a connection."""
        self.unreachable: dict[Peer, int] = {}
        """Peers that accepted no connection, and until when none is tried, in monotonic milliseconds."""
        self.byes_to_users: dict[str, dict[ByeToUser, None]] = {}
        """BYEs without a final response that a registered user gets over a connection, by the user."""
        self.invites_to_users: dict[str, dict[InviteClient, None]] = {}
        """INVITEs to registered users without a final response, by the user."""
        self.places_of: PlacesOf = at_no_place
        """Return where a user is registered at present."""
        self.merging: set[str] = set()
        """INVITEs in progress, by what all copies of one have in common (RFC 3261 section 8.2.2.2)."""
        self.out: list[Datagram] = []
        self.wheel: TimerWheel[TimerOwner] = TimerWheel(TICK_MS)
        self.finished = FinishedTransactions(max(timers.t1_ms, TICK_MS), self.wheel)
        self.refused = RecentRefusals()
        self.servers: dict[str, Server | InviteServer] = {}
        self.clients: dict[str, Client | InviteClient] = {}
        self.sent_again = 0
        """Messages that we retransmitted because nothing came, since the start."""
        self.received_again = 0
        """Requests that peers retransmitted, since the start."""
        self.unclaimed: ClientOwner | None = None
        """Receives the failures of requests without an owner; None = they are not reported."""

    def device_at(self, user: str, peer: Peer) -> Device | None:
        """Return the device of a user that is registered from an address; None = unknown, or one of several."""
        devices = {place.device for place in self.places_of(user) if place.peer == peer}
        return devices.pop() if len(devices) == 1 else None

    def send(self, peer: Peer, data: bytes) -> None:
        """Queue a datagram."""
        self.out.append(Datagram(peer, data))

    def send_ack(self, ack: Datagram, now: Instant) -> None:
        """Queue the ACK of a 2xx whose dialog may have ended; its name is known until nothing repeats it."""
        self.out.append(ack)
        if not isinstance(ack, ProvenAck) or not ack.server_name:
            return
        key = sent_ack(answered(ack.data))
        if self.finished.get(key) is None:
            self.finished.keep(key, ack, self.timers.transaction_ms, now)

    def takes_no_connection(self, peer: Peer, now: Instant) -> None:
        """Note that a connection to a peer failed, or was closed before any response."""
        if len(self.unreachable) >= UNREACHABLE_MAX:
            self.unreachable.clear()
        self.unreachable[peer] = now.mono + UNREACHABLE_MS

    def may_connect(self, peer: Peer, now: Instant) -> bool:
        """Return whether a connection to a peer may be tried."""
        until = self.unreachable.get(peer)
        if until is None:
            return True
        if now.mono < until:
            return False
        del self.unreachable[peer]
        return True

    def clear(self) -> None:
        """Forget all transactions and timers, as if there had been none."""
        self.streams.clear()
        self.byes_to_users.clear()
        self.invites_to_users.clear()
        self.merging.clear()
        self.servers.clear()
        self.clients.clear()
        self.refused.answers.clear()
        self.wheel.clear()
        self.finished.clear()

    def set_timer(self, at_ms: int, owner: TimerOwner) -> Timer[TimerOwner]:
        """Let ``owner.timer_due`` be called at ``at_ms`` of the monotonic clock."""
        return self.wheel.schedule(at_ms, owner)
