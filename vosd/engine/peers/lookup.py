"""Background lookup of names: cache of answers, expiry, retries.

Owns the life of an answer: its TTL within limits, the waits after a failure, and how long an old answer is used when no
new one can be had (RFC 8767). ``engine.peers.directory`` decides which names are looked up.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from vosd.base.clock import Clock
from vosd.engine.settings import DnsSettings
from vosd.sip.flows import Hop
from vosd.sip.locate import (
    DnsAnswer,
    DnsQuestion,
    NoAnswerError,
    RecordType,
    SipServer,
    Survey,
    UsableTransports,
    survey,
)

LOOKUP_S: Final = 30.0
"""Time limit of one lookup, with all its questions."""
QUESTIONS_MAX: Final = 16
"""Most open questions; others wait."""
RETRY_MS: Final = 5_000
RETRY_MAX_MS: Final = 60_000
"""A failed lookup is repeated after the first, then after twice as long each time, up to the second."""
EARLY: Final = 10
"""An answer is renewed when the last of so many parts of its life begins."""

_ADDRESSES: Final = frozenset({RecordType.A, RecordType.AAAA})

_log = structlog.get_logger()


class Resolver(Protocol):
    """Client of name servers."""

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        """Return the records, perhaps none.

        Raises:
            NoAnswerError: no name server gave a usable answer.
        """
        ...


class CachedName:
    """Cached state of one name; instants are milliseconds of the monotonic clock."""

    __slots__ = ("due", "failures", "known_at", "lookup", "problem", "seen_at", "servers", "sought")

    def __init__(self, sought: Hop, due: int) -> None:
        self.sought = sought
        self.due = due
        """Time of the next lookup."""
        self.servers: tuple[SipServer, ...] = ()
        self.known_at: int | None = None
        """Time of the last complete answer."""
        self.failures = 0
        """Consecutive failed lookups."""
        self.problem = ""
        """Problem found by the last lookup; empty = none."""
        self.lookup: asyncio.Task[None] | None = None
        self.seen_at: frozenset[str] = frozenset()
        """Addresses of the name at which a peer was seen that uses it in a dialog."""

    @property
    def is_known(self) -> bool:
        """Whether a lookup has ever completed."""
        return self.known_at is not None or self.failures > 0


class NameLookups:
    """Looks names up, one task for each; ``learned`` is called after each, with the problem before it."""

    def __init__(
        self,
        resolver: Resolver,
        clock: Clock,
        means: UsableTransports,
        settings: DnsSettings,
        learned: Callable[[CachedName, str], None],
    ) -> None:
        self._resolver = resolver
        self._clock = clock
        self._means = means
        self._settings = settings
        self._learned = learned
        self._turns = asyncio.Semaphore(QUESTIONS_MAX)
        self._open: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return the number of open lookups."""
        return len(self._open)

    def begin(self, cached: CachedName) -> asyncio.Task[None]:
        """Start a lookup of a name, unless one is open."""
        if cached.lookup is None:
            cached.lookup = asyncio.create_task(self._look_up(cached), name=f"lookup of {cached.sought.host}")
            self._open.add(cached.lookup)
            cached.lookup.add_done_callback(self._open.discard)
        return cached.lookup

    async def settled(self) -> None:
        """Wait until none is open."""
        while self._open:
            await asyncio.wait(self._open)

    def cancel(self) -> None:
        """Cancel all open lookups."""
        for task in self._open:
            task.cancel()

    async def _look_up(self, cached: CachedName) -> None:
        before = cached.problem
        try:
            async with asyncio.timeout(LOOKUP_S):
                found, why = await self._ask_all(cached.sought)
        except TimeoutError:
            self._failed(cached, f"not done after {LOOKUP_S:g} s")
        except Exception:  # noqa: BLE001  after an error the name must be looked up again
            _log.exception("lookup_failed", name=cached.sought.host)
            self._failed(cached, "an error in the switch")
        else:
            if found.failed:
                self._use_in_need(cached, found)
                self._failed(cached, why)
            else:
                self._take(cached, found)
        finally:
            cached.lookup = None
        self._learned(cached, before)

    async def _ask_all(self, sought: Hop) -> tuple[Survey, str]:
        """Ask until no answer is missing; return the result, and why some answers failed."""
        known: dict[DnsQuestion, DnsAnswer | None] = {}
        failures: list[str] = []

        async def ask(question: DnsQuestion) -> None:
            try:
                async with self._turns:
                    known[question] = await self._resolver.ask(question)
            except NoAnswerError as error:
                known[question] = None
                failures.append(str(error))

        while (found := survey(sought, self._means, known)).missing:
            await asyncio.gather(*map(ask, found.missing))
        return found, "; ".join(failures)

    def _take(self, cached: CachedName, found: Survey) -> None:
        settings = self._settings
        ttl_s = settings.max_ttl_s if found.ttl_s is None else found.ttl_s
        ttl_ms = 1000 * max(settings.min_ttl_s, min(settings.max_ttl_s, ttl_s))
        now = self._clock.now().mono
        cached.servers = found.servers
        cached.known_at = now
        # Renewed before it expires, so that calls never find an expired answer while the servers respond.
        cached.due = now + ttl_ms - ttl_ms // EARLY
        cached.failures = 0
        cached.problem = "" if found.servers else "no SIP server is published under this name"

    def _use_in_need(self, cached: CachedName, found: Survey) -> None:
        """Use an incomplete result for a name without a better one; never without its services."""
        if not cached.servers and all(question.kind in _ADDRESSES for question in found.failed):
            cached.servers = found.servers

    def _failed(self, cached: CachedName, why: str) -> None:
        now = self._clock.now().mono
        cached.problem = why
        cached.due = now + min(RETRY_MS << min(cached.failures, 8), RETRY_MAX_MS)
        cached.failures += 1
        if cached.servers and cached.known_at is not None and now - cached.known_at > 1000 * self._settings.stale_s:
            cached.servers = ()
            _log.warning("name_expired", name=cached.sought.host, why="the last answer is too old")
