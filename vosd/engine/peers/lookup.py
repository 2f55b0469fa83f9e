"""Names looked up in the background: what is known of each, when it is asked for anew, what a failure leaves.

Owns the life of one answer: its TTL within bounds, the waits after a failure, how long an old answer stands in
for one that cannot be had (RFC 8767). Which names are looked up is ``engine.peers.directory``'s.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from vosd.base.clock import Clock
from vosd.engine.settings import DnsSettings
from vosd.sip.flows import Hop
from vosd.sip.locate import Answer, Kind, Means, NoAnswerError, Question, Server, Survey, survey

LOOKUP_S: Final = 30.0
"""How long one name may take, all its questions together."""
QUESTIONS_MAX: Final = 16
"""Asked at the same time; the others wait for their turn."""
RETRY_MS: Final = 5_000
RETRY_MAX_MS: Final = 60_000
"""A lookup that failed is tried again after the first, then after twice as long each time, up to the second."""
EARLY: Final = 10
"""What is known is looked up anew when the last of so many parts of its time begins."""

_ADDRESSES: Final = frozenset({Kind.A, Kind.AAAA})

_log = structlog.get_logger()


class Resolver(Protocol):
    """Whoever can ask name servers."""

    async def ask(self, question: Question) -> Answer:
        """Return the records that there are, perhaps none.

        Raises:
            NoAnswerError: no name server gave an answer that can be used.
        """
        ...


class Place:
    """What is known of one name; instants are milliseconds of the monotonic clock."""

    __slots__ = ("due", "failures", "known_at", "lookup", "servers", "sought", "trouble")

    def __init__(self, sought: Hop, due: int) -> None:
        self.sought = sought
        self.due = due
        """When it is looked up next."""
        self.servers: tuple[Server, ...] = ()
        self.known_at: int | None = None
        """When the name servers last said all there is to know."""
        self.failures = 0
        """Lookups in a row that did not get as far."""
        self.trouble = ""
        """What is wrong with the name, after its latest lookup."""
        self.lookup: asyncio.Task[None] | None = None

    @property
    def is_known(self) -> bool:
        """Whether a lookup has ever come to its end."""
        return self.known_at is not None or self.failures > 0


class Lookups:
    """Looks names up, one task a name; ``learned`` hears of each that is done, with the trouble it had before."""

    def __init__(
        self,
        resolver: Resolver,
        clock: Clock,
        means: Means,
        settings: DnsSettings,
        learned: Callable[[Place, str], None],
    ) -> None:
        self._resolver = resolver
        self._clock = clock
        self._means = means
        self._settings = settings
        self._learned = learned
        self._turns = asyncio.Semaphore(QUESTIONS_MAX)
        self._under_way: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how many are under way."""
        return len(self._under_way)

    def begin(self, place: Place) -> asyncio.Task[None]:
        """Look a name up, unless that is under way."""
        if place.lookup is None:
            place.lookup = asyncio.create_task(self._look_up(place), name=f"lookup of {place.sought.host}")
            self._under_way.add(place.lookup)
            place.lookup.add_done_callback(self._under_way.discard)
        return place.lookup

    async def settled(self) -> None:
        """Wait until none is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def cancel(self) -> None:
        """Give up all that are under way."""
        for task in self._under_way:
            task.cancel()

    async def _look_up(self, place: Place) -> None:
        before = place.trouble
        try:
            async with asyncio.timeout(LOOKUP_S):
                found, why = await self._ask_all(place.sought)
        except TimeoutError:
            self._failed(place, f"not done after {LOOKUP_S:g} s")
        except Exception:  # noqa: BLE001  the boundary of a task: the name must be looked up again all the same
            _log.exception("a mistake of ours ended a lookup", name=place.sought.host)
            self._failed(place, "a mistake of ours")
        else:
            if found.failed:
                self._use_in_need(place, found)
                self._failed(place, why)
            else:
                self._take(place, found)
        finally:
            place.lookup = None
        self._learned(place, before)

    async def _ask_all(self, sought: Hop) -> tuple[Survey, str]:
        """Ask until nothing is missing; return what the answers say, and why some are not there."""
        known: dict[Question, Answer | None] = {}
        failures: list[str] = []

        async def ask(question: Question) -> None:
            try:
                async with self._turns:
                    known[question] = await self._resolver.ask(question)
            except NoAnswerError as error:
                known[question] = None
                failures.append(str(error))

        while (found := survey(sought, self._means, known)).missing:
            await asyncio.gather(*map(ask, found.missing))
        return found, "; ".join(failures)

    def _take(self, place: Place, found: Survey) -> None:
        settings = self._settings
        ttl_s = settings.max_ttl_s if found.ttl_s is None else found.ttl_s
        ttl_ms = 1000 * max(settings.min_ttl_s, min(settings.max_ttl_s, ttl_s))
        now = self._clock.now().mono
        place.servers = found.servers
        place.known_at = now
        place.due = now + ttl_ms - ttl_ms // EARLY
        place.failures = 0
        place.trouble = "" if found.servers else "no SIP server is published under this name"

    def _use_in_need(self, place: Place, found: Survey) -> None:
        """Take what there is of a name that nothing better is known of; never without knowing its services."""
        if not place.servers and all(question.kind in _ADDRESSES for question in found.failed):
            place.servers = found.servers

    def _failed(self, place: Place, why: str) -> None:
        now = self._clock.now().mono
        place.trouble = why
        place.due = now + min(RETRY_MS << min(place.failures, 8), RETRY_MAX_MS)
        place.failures += 1
        if place.servers and place.known_at is not None and now - place.known_at > 1000 * self._settings.stale_s:
            place.servers = ()
            _log.warning("a name leads nowhere any more: what was known of it is too old", name=place.sought.host)
