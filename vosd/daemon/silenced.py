"""Sources whose messages are dropped unread, after wrong passwords or a flood: list and release.

Combines the lock-out of the authentication and the blocks of the listeners; their rules are elsewhere.
"""

from collections.abc import Mapping
from enum import Enum

from vosd.base.clock import Clock
from vosd.base.host import source_of
from vosd.cdr.columns import iso_utc
from vosd.control.peers import SilencedSource
from vosd.engine.counting import Counting
from vosd.engine.registration.authentication import Authenticator
from vosd.net.transports import Transports
from vosd.obs.figures import Figure


class SilenceCause(Enum):
    """Why a source is silenced; the value is what ``vosd unblock --list`` prints."""

    WRONG_CREDENTIALS = "wrong credentials"
    AT_A_GATEWAY = "wrong credentials, its calls go on"
    """A gateway's address: only passwords are not looked at."""
    FLOOD = "flood"


class Silenced(Counting):
    """All silenced sources."""

    def __init__(self, authenticator: Authenticator, blocks: Transports, clock: Clock) -> None:
        self._authenticator = authenticator
        self._blocks = blocks
        self._clock = clock

    def census(self) -> Mapping[Figure, int]:
        """Count the sources, for ``vosd status``."""
        return {Figure.LOCKED_OUT: len(self.sources())}

    def sources(self) -> set[str]:
        """Return the silenced sources: IPv4 addresses, and networks of IPv6."""
        now = self._clock.now()
        found = {each.source for each in self._authenticator.locked_out(now)} if self._authenticator.locked else set()
        found.update(source_of(host) for host, until_s in self._blocks.blocked().items() if 1_000 * until_s > now.mono)
        return found

    def rows(self) -> list[SilencedSource]:
        """List each source with the cause and the remaining time."""
        now = self._clock.now()

        def row(
            source: str, cause: SilenceCause, until_ms: int, failures: int | None = None, username: str | None = None
        ) -> SilencedSource:
            left_ms = until_ms - now.mono
            until = iso_utc(now.wall + left_ms)
            return SilencedSource(source, cause.value, -(-left_ms // 1_000), until, failures, username)

        causes = {
            SilenceCause.WRONG_CREDENTIALS: self._authenticator.locked_out(now),
            SilenceCause.AT_A_GATEWAY: self._authenticator.locked_gateways(now),
        }
        guessing = [
            row(each.source, cause, each.until, each.failures, each.username)
            for cause, locked in causes.items()
            for each in locked
        ]
        flooding = {source_of(host): round(until_s * 1_000) for host, until_s in self._blocks.blocked().items()}
        return guessing + [
            row(source, SilenceCause.FLOOD, until) for source, until in flooding.items() if until > now.mono
        ]

    def unblock(self, host: str) -> bool:
        """Release a source, whatever the cause; return False if it was not silenced.

        Raises:
            ValueError: ``host`` is no IP address.
        """
        was_locked_out = self._authenticator.unblock(host, self._clock.now())
        return self._blocks.release(host) or was_locked_out
