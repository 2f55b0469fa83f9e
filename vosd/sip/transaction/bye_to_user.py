"""A BYE to a registered user over a connection: where that is lost, it waits for the user's next one.

A phone behind NAT is reached over a connection that it has opened, and over no other. After a restart of the switch, or
of the router of the phone, it learns of the end of its call when it registers again.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from vosd.base.clock import Instant
from vosd.sip.events import NoResponse, ResponseArrived
from vosd.sip.flows import hop_of
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.pace import OF_REQUEST
from vosd.sip.transaction.retry import Retry
from vosd.sip.wire.message import Response
from vosd.sip.wire.outgoing import Peer

if TYPE_CHECKING:
    from vosd.sip.draft import RequestDraft

WAIT_MS: Final = 300_000
"""Time that a BYE waits at most, counted from when it was sent first: phones register again within minutes."""
MOST_OF_A_USER: Final = 32
"""BYEs of one user that wait; more of them fail at once."""


class ByeToUser(Client, eq=False, kw_only=True):
    """A BYE of ours without a final response, to a user who has registered over the same transport."""

    user: str
    contact: str
    """The URI of the device that has the call."""
    until: int
    """When it waits no longer, in milliseconds of the monotonic clock: ``WAIT_MS`` after it is sent first."""
    is_waiting: bool = False
    """Whether there is no connection."""
    moved_to: Peer | None = None
    """The connection over which it was sent after the first one."""
    tried: tuple[Peer, ...] = ()
    """The connections that were lost before it was answered."""

    def begin(
        self,
        key: str,
        peer: Peer,
        data: bytes,
        now: Instant,
        spare: Peer | None = None,
        draft: "RequestDraft | None" = None,
        spare_data: bytes = b"",
    ) -> None:
        """Send the BYE, the first time or after a challenge, which the device answers where it is now."""
        self.is_waiting = False
        self.enter()
        super().begin(key, self.moved_to or peer, data, now, spare, draft, spare_data)

    def enter(self) -> None:
        """Let registrations of the user find it."""
        self.store.byes_to_users.setdefault(self.user, {})[self] = None

    def response_came(self, response: Response, now: Instant) -> ResponseArrived | None:
        """Take a response, as every client transaction does."""
        event = super().response_came(response, now)
        if self.is_over:
            self._leave()
        return event

    def forget(self) -> None:
        """End the transaction without a response."""
        super().forget()
        self._leave()

    def transport_failed(self, now: Instant) -> NoResponse | None:
        """Send the BYE to the other address or another connection of the device, or wait for the next one."""
        is_late = now.mono >= self.until or len(self.store.byes_to_users[self.user]) > MOST_OF_A_USER
        if self.spare is not None or is_late:
            return super().transport_failed(now)
        failed = self.retry.sent.peer
        self.tried = (*self.tried, failed)
        for peer, contact in self.store.places_of(self.user):
            if peer not in self.tried and self._is_for(peer, contact) and _are_of_one_device(self.contact, contact):
                self.retry.stop(self)
                self._send_to(peer, now)
                return None
        self.is_waiting = True
        self.retry.wait_until(self, self.until, now)
        return None

    def registered(self, peer: Peer, contact: str, elsewhere: Collection[Peer], now: Instant) -> None:
        """Send it over another connection of the user, which has registered there with that Contact.

        The port is not compared: devices name the port of their connection. Unless the connection is lost, one at which
        the user is registered (``elsewhere``) is left alone: the other is that of another device.
        """
        before = self.retry.sent.peer
        if not self._is_for(peer, contact):
            return
        if self.is_waiting or (peer != before and before not in elsewhere):
            self._send_to(peer, now)

    def back_at(self, peer: Peer, now: Instant) -> None:
        """Send it again where the user has registered over a connection from the same address and port."""
        if self.is_waiting and peer == self.retry.sent.peer:
            self._send_to(peer, now)

    def _is_for(self, peer: Peer, contact: str) -> bool:
        """Return whether a connection may be one of the device that has the call."""
        ours, theirs = hop_of(self.contact), hop_of(contact)
        is_device = ours is not None and theirs is not None and ours.host == theirs.host
        return is_device and peer.flow == self.retry.sent.peer.flow

    def _send_to(self, peer: Peer, now: Instant) -> None:
        self.is_waiting, self.moved_to = False, peer
        self.retry.stop(self)
        self.retry = Retry(self.store, peer, self.retry.sent.data)
        self.retry.begin(self, OF_REQUEST, now)

    def _given_up(self, now: Instant, *, is_unreachable: bool = False) -> NoResponse | None:
        self._leave()
        return super()._given_up(now, is_unreachable=is_unreachable)

    def _leave(self) -> None:
        waiting = self.store.byes_to_users.get(self.user)
        if waiting is not None:
            waiting.pop(self, None)
            if not waiting:
                del self.store.byes_to_users[self.user]


def _are_of_one_device(contact: str, other: str) -> bool:
    """Return whether two Contacts of a user are equal: user part, host, port and transport."""
    return hop_of(contact) == hop_of(other) and _user_part(contact) == _user_part(other)


def _user_part(contact: str) -> str:
    return contact.lstrip("<").rpartition("@")[0]
