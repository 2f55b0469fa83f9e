"""Entry point of every received message, from all listeners: the shield first, then the core.

While nothing waits, datagrams of known sources go straight into the core, which sends what follows from some
of them together (``take``). Everything else is judged by the shield and queued.
"""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

from vosd.base.bucket import Allowance
from vosd.base.clock import Instant
from vosd.base.host import source_of
from vosd.net.kernel_filter import ADDRESSES_MAX
from vosd.net.shield import Shield, ShieldAnswer, ShieldSettings
from vosd.obs.events import Event, log as _log
from vosd.obs.log import LogLimiter
from vosd.sip.drops import Drop, Drops
from vosd.sip.wire.classify import NEVER_LIMITED, MessageKind, Rank, classify
from vosd.sip.wire.outgoing import Peer

SENT_TOGETHER: Final = 8
"""After so many messages of a batch what follows from them is sent together (ADR 19)."""
IDLE_MAX: Final = 1_000
"""Most messages of known sources, within a second, that may be no event of a call before they are judged one by one.

Each event allows for one more: in calls that go well, every sixth message is none.
"""
LATE_S: Final = 2.0
"""Longer in its socket, a message counts as of when it came: this process, or its event loop, has stood still."""
REPEATED_S: Final = 4.0
"""Longest wait of a new call until this process starts or goes on: a caller that is still there repeats its INVITE."""
GIVEN_UP_S: Final = 32.0
"""Longest wait of other requests (64·T1): after it their senders have given up (RFC 3261 section 17.1.2.2)."""

_REFUSE: Final = ShieldAnswer.REFUSE
_SILENCE: Final = ShieldAnswer.SILENCE


class Core(NamedTuple):
    """Callbacks from the listeners to the core."""

    begin: Callable[[], Instant | None]
    """Return the instant of a turn in which messages are processed as they are read; None = they must be queued."""
    process: Callable[[bytes, Peer, Instant], bool]
    """Process one message of a turn; return whether it was an event for a call or a registration."""
    flush: Callable[[Instant], None]
    """Send what follows from the messages processed so far."""
    take: Callable[[Rank, int, bytes, str, int, float], None]
    """Queue one message: rank, flow, bytes, the peer's host and port, time of arrival by the monotonic clock (s)."""
    refuse: Callable[[int, bytes, str, int], None]
    """Refuse one request of a peer above its rate."""
    serve: Callable[[], None]
    """Serve the queued messages."""
    belongs: Callable[[MessageKind, bytes], bool]
    """Return whether a response or an in-dialog request belongs to a transaction or dialog of ours."""
    has_dialog: Callable[[str], bool]
    """Return whether a dialog with this tag of ours has not ended."""
    dialog_of: Callable[[bytes], str]
    """Return our tag of the live dialog that a request or response is of, by its Call-ID and tags; empty if of none."""
    dropped: Drops
    """Number of dropped messages by reason."""
    failed: Callable[[int, str, int, Collection[str] | None], None]
    """Report that the last bytes sent to a peer may not have arrived: flow, host and port.

    Of one of several connections with it, the names whose requests it carried, too: an empty one stands for all
    requests without a name, ``OF_RESPONSES`` for responses; None = of all. Never called from within a send.
    """
    unsent: Callable[[bytes], None]
    """Report that a datagram could not be sent and will not be. Never called from within a send."""
    undelivered: Callable[[bytes, Peer], None]
    """Report an ICMP error: the quoted beginning of a datagram, and its destination; may be forged. Never called from
    within a send.
    """
    closed: Callable[[int, str, int], None]
    """Report that a connection is closed, by either side: flow, host and port. Called before ``failed``."""
    certified: Callable[[int, str, int, frozenset[str]], None]
    """Report the names in the verified certificate of a connection over TLS; none if it has none or was opened by us.

    Arguments: flow, host and port. Called before its messages.
    """
    identity_at: Callable[[str, int], str]
    """Return the TLS identity of the vendor at a host (or name) and port; empty = the common one."""
    is_vendor_at: Callable[[str, int], bool]
    """Return whether a host and port are a place of a routing gateway."""
    is_gateway: Callable[[str], bool]
    """Return whether an address belongs to a gateway."""
    is_known_source: Callable[[str], bool]
    """Return whether an address belongs to a gateway or to an authenticated user."""
    allowance_at: Callable[[str], Allowance | None]
    """Return the rate limit (``max_requests``) shared by all addresses of the gateway at an address; None = no such
    limit.
    """
    name_of: Callable[[str, int], str | None]
    """Return the name that the certificate of the vendor at a host and port must contain; None = the address itself.

    Several vendors may have it: ``server_name_of`` knows more of a request.
    """
    connects_within: Callable[[str], float]
    """Return the time limit in seconds for connecting to an address."""
    server_name_of: Callable[[bytes], str] = lambda _data: ""
    """Return the name that the certificate must contain for a message of ours; empty = that of ``name_of``."""
    ends_call: Callable[[bytes], bool] = lambda _data: False
    """Return whether a response of ours is the failure by which a call has ended."""
    is_denied: Callable[[str], bool] = lambda _host: False
    """Return whether requests from an address are dropped, except those of calls."""
    report_denied: Callable[[str], None] = lambda _host: None
    """Report that a request of a known source was dropped for that."""


class Entrance:
    """Applies the shield to every message; calls ``drop_in_kernel`` when the set of blocked addresses changes."""

    def __init__(self, core: Core, settings: ShieldSettings, drop_in_kernel: Callable[[], None]) -> None:
        self._core = core
        self._keep_out = drop_in_kernel
        self._shield = Shield(
            settings,
            core.is_known_source,
            core.belongs,
            self._block,
            core.dropped,
            core.allowance_at,
            core.is_denied,
            core.report_denied,
        )
        self._blocked: dict[str, float] = {}
        """Time at which each blocked address is released, earliest first."""
        self._log_limiter = LogLimiter()
        self.unsent = core.unsent
        self.undelivered = core.undelivered
        self.recognise = self._shield.recognise
        """Look a source up for its next message, which has become a known one."""
        self.serve = core.serve
        """Serve the queued messages: call it after all received messages were queued."""
        self._spare = IDLE_MAX
        """Number of further messages that may be no event."""
        self._spare_since = 0

    @property
    def blocked(self) -> dict[str, float]:
        """Release time of each address blocked in the kernel, in seconds of the monotonic clock."""
        return self._blocked

    def take(self, batch: Sequence[tuple[bytes, Peer]]) -> None:
        """Serve all datagrams that waited in a socket."""
        core, shield = self._core, self._shield
        now = core.begin()
        if now is None or not self._may_pass(now):
            for data, peer in batch:
                self.receive(peer.flow, data, peer.host, peer.port)
            core.serve()
            return
        now_s, process, flush, spare = now.mono / 1000, core.process, core.flush, self._spare
        waiting: set[str] | None = None
        unsent = 0
        for data, peer in batch:
            host = peer.host
            # A source that is looked up for the first message of a batch is known for the next: that one may not
            # overtake the first, or a 200 comes before its 180 and a CANCEL before its INVITE.
            if (waiting is None or host not in waiting) and shield.knows(host, now_s):
                if data[:4] in NEVER_LIMITED:
                    spare += 1 if process(data, peer, now) else -1
                elif self._judged(data, peer, now_s):
                    process(data, peer, now)
                unsent += 1
                if unsent == SENT_TOGETHER:
                    flush(now)
                    unsent = 0
            elif self.receive(peer.flow, data, host, peer.port):
                if waiting is None:
                    waiting = set()
                waiting.add(host)
        if unsent:
            flush(now)
        self._spare = min(spare, IDLE_MAX)
        if waiting is not None:
            core.serve()

    def receive_late(self, flow: int, data: bytes, host: str, port: int, came: float) -> None:
        """Queue one message that has waited since ``came`` for this process to start, or to go on after it stood still.

        A request that its sender may have given up is dropped: the caller of a new call may have gone, which no
        message says, since without a response there is no CANCEL (RFC 3261 section 9.1). One that is still there sends
        its INVITE again (section 17.1.1.2). What sets calls up and ends them is served however late.
        """
        if may_be_given_up(data, time.monotonic() - came):
            self._core.dropped[Drop.WAITED_FOR_START] += 1
        else:
            self.receive(flow, data, host, port, came)

    def receive(
        self, flow: int, data: bytes, host: str, port: int, came: float | None = None
    ) -> Rank | ShieldAnswer | None:
        """Queue one message until ``serve``, or refuse it; return what the shield says, None if it was dropped.

        It counts as of ``came``, in seconds of the monotonic clock; None = just now.
        """
        now = time.monotonic()
        verdict = self._shield.judge(classify(data), data, host, now)
        if verdict is _SILENCE:
            return None
        if verdict is _REFUSE:
            self._core.refuse(flow, data, host, port)
        else:
            self._core.take(verdict, flow, data, host, port, now if came is None else came)
        return verdict

    def release(self, host: str) -> bool:
        """Unblock a source (for IPv6 its /64); return False if it was not blocked.

        Raises:
            ValueError: ``host`` is no IP address.
        """
        source = source_of(host)
        blocked = [each for each in self._blocked if source_of(each) == source]
        for each in blocked:
            del self._blocked[each]
            self._shield.release(each)
        if blocked:
            self._keep_out()
        return bool(blocked)

    def adjust(self, settings: ShieldSettings) -> None:
        """Look every source up again, and unblock those that are known now; other settings unblock all.

        This is called with every change of a definition, which agents make as often as they like: no flood ends by it.
        """
        shield = self._shield
        if settings == shield.settings:
            shield.look_again()
            released = [each for each in self._blocked if shield.has_become_known(each)]
        else:
            shield.settings = settings
            released = [*self._blocked]
        for each in released:
            del self._blocked[each]
            shield.release(each)
        if released:
            self._keep_out()

    def release_due(self) -> None:
        """Unblock the sources whose time is over."""
        now = time.monotonic()
        while self._blocked and next(iter(self._blocked.values())) <= now:
            del self._blocked[next(iter(self._blocked))]
        self._keep_out()

    def _may_pass(self, now: Instant) -> bool:
        """Return whether messages within calls need not be matched with calls before they are processed.

        They must while too many match none: late responses, or forged requests.
        """
        if now.mono - self._spare_since >= 1_000:
            self._spare, self._spare_since = IDLE_MAX, now.mono
        return self._spare > 0

    def _judged(self, data: bytes, peer: Peer, now_s: float) -> bool:
        """Return whether a request of a known source is within its limit; refuse a new one if it is not."""
        verdict = self._shield.judge(classify(data), data, peer.host, now_s)
        if verdict is _REFUSE:
            self._core.refuse(peer.flow, data, peer.host, peer.port)
        return verdict is not _REFUSE and verdict is not _SILENCE

    def _block(self, host: str, until: float) -> None:
        if self._log_limiter.admits(host, round(time.monotonic() * 1000)):
            _log.warning(Event.SOURCE_BLOCKED, source=host, seconds=self._shield.settings.block_s)
        if len(self._blocked) < ADDRESSES_MAX:
            self._blocked.pop(host, None)
            self._blocked[host] = until
            self._keep_out()


def may_be_given_up(data: bytes, waited_s: float) -> bool:
    """Return whether the sender of a message may have given it up, so that carrying it out would be wrong."""
    if waited_s <= REPEATED_S:
        return False
    kind = classify(data)
    if kind is MessageKind.CALL or waited_s <= GIVEN_UP_S:
        return kind is MessageKind.CALL
    is_request = kind is MessageKind.OTHER or kind is MessageKind.WITHIN
    return is_request and data.lstrip(b"\r\n")[:4] not in NEVER_LIMITED
