"""The one way in for messages, whatever listener they came by: the shield first, then the core."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from vosd.base.bucket import Allowance
from vosd.base.host import source_of
from vosd.net.kernel_filter import ADDRESSES_MAX
from vosd.net.shield import Answer, Shield, ShieldSettings
from vosd.obs.events import Event
from vosd.obs.log import LogLimiter
from vosd.sip.wire.classify import Kind, Rank, classify

_log = structlog.get_logger()
_REFUSE: Final = Answer.REFUSE
_SILENCE: Final = Answer.SILENCE


class Core(NamedTuple):
    """What the flows tell the core, and what they ask of it."""

    take: Callable[[Rank, int, bytes, str, int], None]
    """Let one message wait for its turn: rank, flow, bytes, the peer's host and port."""
    refuse: Callable[[int, bytes, str, int], None]
    """Refuse one request of a peer that asks too much."""
    serve: Callable[[], None]
    """Serve those that wait."""
    belongs: Callable[[Kind, bytes], bool]
    """Say whether a response, or a request that says so, belongs to what we do."""
    dropped: Counter[str]
    """What came to nothing, by why."""
    failed: Callable[[int, str, int], None]
    """Hear that what was sent last to a peer may not have arrived: flow, host and port. Never called while sending."""
    unsent: Callable[[bytes], None]
    """Hear that a datagram could not be sent, and never will be. Never called while sending."""
    closed: Callable[[int, str, int], None]
    """Hear that a connection is gone, whoever closed it and why: flow, host and port. Comes before ``failed``."""
    is_known_source: Callable[[str], bool]
    """Say whether an address is a gateway's, or somebody's who has proven himself."""
    allowance_at: Callable[[str], Allowance | None]
    """Say what the gateway at an address may ask from all its addresses together; None = no such limit."""
    name_of: Callable[[str], str | None]
    """Say which name the certificate of the vendor at an address must bear; None = the address itself."""
    connects_within: Callable[[str], float]
    """Say how many seconds a connection to an address may take at most."""


class Entrance:
    """Judges every message; ``keep_out`` is told whenever other addresses are to be kept out by the kernel."""

    def __init__(self, core: Core, settings: ShieldSettings, keep_out: Callable[[], None]) -> None:
        self._core = core
        self._keep_out = keep_out
        self._shield = Shield(
            settings, core.is_known_source, core.belongs, self._block, core.dropped, core.allowance_at
        )
        self._blocked: dict[str, float] = {}
        """Until when each address is kept out, in the order of that."""
        self._log_limiter = LogLimiter()
        self.unsent = core.unsent
        self.serve = core.serve
        """Serve those that wait: to be called once everything that lies ready was taken."""

    @property
    def blocked(self) -> dict[str, float]:
        """Until when each address is kept out by the kernel, in seconds of the monotonic clock."""
        return self._blocked

    def receive(self, flow: int, data: bytes, host: str, port: int) -> bool:
        """Take one message, which waits for its turn until ``serve``; say whether it is heard at all."""
        verdict = self._shield.judge(classify(data), data, host, time.monotonic())
        if verdict is _SILENCE:
            return False
        if verdict is _REFUSE:
            self._core.refuse(flow, data, host, port)
        else:
            self._core.take(verdict, flow, data, host, port)
        return True

    def release(self, host: str) -> bool:
        """Take messages of a source again, of IPv6 of its /64; False where it was not blocked.

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
        """Judge by other settings, and by what is known now; nobody stays blocked."""
        self._shield.settings = settings
        self._blocked.clear()
        self._keep_out()

    def release_due(self) -> None:
        """Let those be heard again whose time is over."""
        now = time.monotonic()
        while self._blocked and next(iter(self._blocked.values())) <= now:
            del self._blocked[next(iter(self._blocked))]
        self._keep_out()

    def _block(self, host: str, until: float) -> None:
        if self._log_limiter.admits(host, round(time.monotonic() * 1000)):
            _log.warning(Event.SOURCE_BLOCKED, source=host, seconds=self._shield.settings.block_s)
        if len(self._blocked) < ADDRESSES_MAX:
            self._blocked.pop(host, None)
            self._blocked[host] = until
            self._keep_out()
