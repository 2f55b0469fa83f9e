"""A BYE to a registered user over a connection: where that is lost, it waits for the user's next one.

A phone behind NAT is reached over a connection that it has opened, and over no other. After a restart of the switch, or
of the router of the phone, it learns of the end of its call when it registers again.

Without a ``+sip.instance`` a place of the user may be that of the device or of another one with the same private
Contact. The BYE is sent there as well, as a guess: where that does not succeed, it waits for the device.
"""

from collections.abc import Collection
from typing import Final

from vosd.base.clock import Instant
from vosd.sip.device import Device
from vosd.sip.draft import CHALLENGES, RequestDraft
from vosd.sip.events import NoResponse, ResponseArrived
from vosd.sip.flows import hop_of
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.pace import OF_REQUEST
from vosd.sip.transaction.retry import Retry
from vosd.sip.transaction.store import RegisteredPlace
from vosd.sip.wire.message import Response
from vosd.sip.wire.outgoing import Peer

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
    device: Device | None = None
    """That device, as its REGISTER named it; None = unknown."""
    is_waiting: bool = False
    """Whether there is no connection."""
    moved_to: Peer | None = None
    """The connection over which it was sent after the first one."""
    is_guess: bool = False
    """Whether it is now at a place that may be that of another device."""
    tried: tuple[Peer, ...] = ()
    """The connections that were lost before it was answered, or over which another device has refused it."""
    refused_by: tuple[Device, ...] = ()
    """Other devices that have got and refused it."""

    def begin(
        self,
        key: str,
        peer: Peer,
        data: bytes,
        now: Instant,
        spare: Peer | None = None,
        draft: RequestDraft | None = None,
        spare_data: bytes = b"",
        last: Peer | None = None,
    ) -> None:
        """Send the BYE, the first time or after a challenge, which the device answers where it is now."""
        self.is_waiting = False
        self.enter()
        super().begin(key, self.moved_to or peer, data, now, spare, draft, spare_data, last)

    def enter(self) -> None:
        """Let registrations of the user find it."""
        self.store.byes_to_users.setdefault(self.user, {})[self] = None

    def response_came(self, response: Response, now: Instant) -> ResponseArrived | None:
        """Take a response, as every client transaction does; another device than that of the call ends nothing."""
        is_refused = response.status >= 300 and response.status not in CHALLENGES
        if self.is_guess and is_refused and self._may_wait(now):
            self._guessed_wrong(now)
            return None
        event = super().response_came(response, now)
        if self.is_over:
            self._leave()
        return event

    def forget(self) -> None:
        """End the transaction without a response."""
        super().forget()
        self._leave()

    def timer_due(self, now: Instant) -> NoResponse | None:
        """Report no response, as every client transaction does; another device than that of the call ends nothing."""
        if self.is_guess and now.mono >= self.retry.ends_at and self._may_wait(now):
            self._guessed_wrong(now)
            return None
        return super().timer_due(now)

    def transport_failed(self, now: Instant) -> NoResponse | None:
        """Send the BYE to the other address or another connection of the device, or wait for the next one."""
        if self.spare is not None or not self._may_wait(now):
            return super().transport_failed(now)
        self.tried = (*self.tried, self.retry.sent.peer)
        self._go_on(now)
        return None

    def registered(self, place: RegisteredPlace, taken: Collection[Peer], now: Instant) -> None:
        """Send it over another connection of the user, which has registered there.

        Unless the connection is lost, one of those at which the user is registered (``taken``) is left alone: the other
        is that of another device.
        """
        before = self.retry.sent.peer
        if self._may_be_for(place) and (self.is_waiting or (place.peer != before and before not in taken)):
            self._send_to(place, now)

    def registered_again(self, place: RegisteredPlace, now: Instant) -> None:
        """Send it, if it waits, where the user has registered again from the same address and port."""
        if self.is_waiting and self._may_be_for(place):
            self._send_to(place, now)

    def _may_wait(self, now: Instant) -> bool:
        return now.mono < self.until and len(self.store.byes_to_users[self.user]) <= MOST_OF_A_USER

    def _may_be_for(self, place: RegisteredPlace) -> bool:
        """Return whether a connection may be one of the device that has the call.

        The port is not compared: devices name the port of their connection.
        """
        if place.peer.flow != self.retry.sent.peer.flow or place.device.is_surely_not(self.device):
            return False
        if self._was_refused_by(place.device):
            return False
        if place.device.has_instance_of(self.device):
            return True
        ours, theirs = hop_of(self.contact), hop_of(place.contact)
        return ours is not None and theirs is not None and ours.host == theirs.host

    def _was_refused_by(self, device: Device) -> bool:
        return any(map(device.is_surely, self.refused_by))

    def _go_on(self, now: Instant) -> None:
        """Send it to another place of the device, or of any device that may be the one if that is unknown, or wait."""
        for place in self.store.places_of(self.user):
            is_candidate = self.device is None or place.device.is_surely(self.device)
            if is_candidate and place.peer not in self.tried and self._may_be_for(place):
                self._send_to(place, now)
                return
        self.is_waiting, self.is_guess = True, False
        self.retry.wait_until(self, self.until, now)

    def _guessed_wrong(self, now: Instant) -> None:
        """Look for the device of the call elsewhere: another one has got it."""
        peer = self.retry.sent.peer
        self.spare, self.tried = None, (*self.tried, peer)
        other = self.store.device_at(self.user, peer)
        if other is not None and not self._was_refused_by(other):
            self.refused_by = (*self.refused_by, other)
        self._go_on(now)

    def _send_to(self, place: RegisteredPlace, now: Instant) -> None:
        self.is_waiting, self.moved_to = False, place.peer
        self.is_guess = not place.device.is_surely(self.device)
        self.retry.stop(self)
        self.retry = Retry(self.store, place.peer, self.retry.sent.data)
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
